"""Program that runs a parallel job; it is copied into the job's code and runs in the job's own Python."""
