"""Training: the run, its loop, steps, checkpoints and report."""
