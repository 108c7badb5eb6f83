"""Registers components and submits pipelines, with azure-ai-ml."""
