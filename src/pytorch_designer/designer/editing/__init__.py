"""Edits of pipeline YAML: text to text, so that everything that is not edited keeps its bytes."""
