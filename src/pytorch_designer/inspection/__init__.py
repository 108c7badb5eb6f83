"""Inspection of a dataset before training: sizes, formats, unreadable files, duplicates."""
