"""The control plane over HTTP: parse, call a service, answer. No rule is decided here."""
