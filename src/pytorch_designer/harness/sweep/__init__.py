"""Sweeps: trials of one job with different values, compared by a metric."""
