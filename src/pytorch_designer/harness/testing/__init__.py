"""For tests of Azure ML components and pipelines, anybody's: run one for real and look at what it did.

docs/testing_components.md shows how.
"""
