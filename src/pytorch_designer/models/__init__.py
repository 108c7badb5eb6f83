"""Networks: architectures by name, classifier heads, and weight files."""
