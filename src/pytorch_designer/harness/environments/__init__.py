"""Python of a job: the one that runs the harness, another, or one that is built from the job's environment."""
