"""Bytes to tensors: decoding, resizing, caching, batching and their order."""
