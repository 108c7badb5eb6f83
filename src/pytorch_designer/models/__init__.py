"""Networks: the architectures by name, their heads, and their weights on disk."""
