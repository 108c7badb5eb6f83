"""Steps of a training run, on a processor and on a GPU."""
