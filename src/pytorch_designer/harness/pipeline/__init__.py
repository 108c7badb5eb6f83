"""Pipelines: plan, run, state on disk."""
