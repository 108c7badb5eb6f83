"""Python API: what `pytorch_designer` offers at its root, and what the commands share with it (docs/python.md)."""
