"""Train PyTorch Model and related components, for Azure ML designer, SDK v2 pipelines and laptops."""

__version__ = "0.1.0"
