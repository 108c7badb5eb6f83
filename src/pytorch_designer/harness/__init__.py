"""Local runs of Azure ML components and pipelines, from their YAML or azure-ai-ml objects alone."""
