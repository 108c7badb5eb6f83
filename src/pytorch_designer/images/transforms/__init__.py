"""Transform steps carried out: on one image, or random ones on a whole batch at once, with the same random numbers."""
