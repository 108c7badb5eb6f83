"""Evaluation of scored datasets: metrics, comparison, report."""
