"""The machine that a process runs on: its cores and memory, and signals that ask it to end."""
