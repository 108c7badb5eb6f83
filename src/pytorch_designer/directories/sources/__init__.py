"""Layouts of other tools that are read as image directories."""
