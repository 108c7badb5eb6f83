"""Learning-rate range test: `pytorch-designer find-learning-rate`."""
