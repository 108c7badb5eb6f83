"""A network on a device: the choice of hardware and precision, and the forward pass that everything shares."""
