"""Kinds of nodes that are not one command: what their YAML says, checked; shared by `pipeline` and `lint`."""
