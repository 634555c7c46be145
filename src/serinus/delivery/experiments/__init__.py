"""A/B and A/B/n experiments: what is measured by unit, and what may be said of it when."""
