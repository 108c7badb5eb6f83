"""A component as data, and what is generated from it: YAML, command line, validation, reference page."""
