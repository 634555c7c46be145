"""How live traffic differs from training, how well it is answered, and what is recommended."""
