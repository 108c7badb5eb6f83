"""Documents of the designer page: pipelines, components, edits, versions."""
