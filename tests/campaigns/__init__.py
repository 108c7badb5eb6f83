"""Long runs that look for rare faults, started by `make torture` and the like; the suite runs a small share of each."""
