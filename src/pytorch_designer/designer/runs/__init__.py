"""Runs of a project, as the page starts and shows them."""
