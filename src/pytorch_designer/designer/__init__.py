"""The designer page on this machine: pipelines as documents, and the server that shows them."""
