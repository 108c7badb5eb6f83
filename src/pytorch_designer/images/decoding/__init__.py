"""Decoding: the decoders that are chosen, what they say about a file, and the memory that they share."""
