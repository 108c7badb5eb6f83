"""Training report and advice on the next run."""
