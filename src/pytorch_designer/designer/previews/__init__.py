"""Previews of data, read in a process of its own."""
