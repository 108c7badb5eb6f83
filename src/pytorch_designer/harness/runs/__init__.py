"""Runs, read back from their folders: lists, logs, metrics, comparisons."""
