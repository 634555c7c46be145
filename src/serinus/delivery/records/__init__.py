"""What is stored of deployments, by noun."""
