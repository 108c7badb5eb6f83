"""Scoring an image directory with a trained model."""
