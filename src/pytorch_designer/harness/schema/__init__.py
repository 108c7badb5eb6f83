"""Azure ML YAML and azure-ai-ml objects as plain data, with the place of every value."""
