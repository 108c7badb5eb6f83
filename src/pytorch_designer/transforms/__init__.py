"""Image transforms: one file per family, one class per transform; opening and validating them imports no torch."""
