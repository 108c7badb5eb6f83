"""Inference: device and precision of a network, and the forward pass that training, validation and scoring share."""
