"""HTTP: bytes of a connection -> requests with limits -> handlers -> answers."""
