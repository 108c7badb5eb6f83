"""Tests of Azure ML components and pipelines, your own too: run one for real and inspect the result.

docs/testing_components.md shows how.
"""
