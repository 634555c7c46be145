"""Model versions: immutable, semantically numbered, staged by one table, mirrored in MLflow."""
