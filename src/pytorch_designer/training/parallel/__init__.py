"""Shared steps of the processes that train together; one process does the same with itself."""
