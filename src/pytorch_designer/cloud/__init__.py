"""Registration of components and submission of pipelines, with azure-ai-ml."""
