"""Answering requests with a trained model."""
