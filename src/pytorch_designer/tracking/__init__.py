"""Parameters and metrics on their way to MLflow; tracking never fails or slows a run."""
