"""From events to a verdict: what is counted, what it proves, and how it is said. Pure."""
