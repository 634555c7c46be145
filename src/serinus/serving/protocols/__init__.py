"""Bodies of requests -> typed rows, outcomes -> bodies of answers. Pure."""
