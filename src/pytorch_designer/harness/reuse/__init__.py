"""Reuse of nodes: the key of a node, the cache of results."""
