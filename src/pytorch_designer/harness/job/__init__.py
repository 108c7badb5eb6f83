"""One command job, run on this machine as Azure ML would run it."""
