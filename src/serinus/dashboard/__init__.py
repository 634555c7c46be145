"""Pages for people: rendered on the server, live by server-sent events, working offline."""
