"""Runs Azure ML components on this machine, out of their YAML files; knows no component of its own."""
