"""What scores are worth: metrics, comparisons and their report."""
