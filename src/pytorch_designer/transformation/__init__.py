"""Image transformations applied to image directories."""
