"""Start of training: what happens once, before the first step."""
