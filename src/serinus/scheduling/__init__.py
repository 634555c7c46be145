"""Background work: jobs that run once and survive kill -9, and triggers that ask for them."""
