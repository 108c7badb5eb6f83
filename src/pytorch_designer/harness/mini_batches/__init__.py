"""Program that runs a parallel job: `python -m mini_batches.parallel_run`, in the working directory of the job.

It is copied into the job's code and runs in the job's own Python, so it imports neither this project nor, but where
tables are read, anything beside the standard library.
"""
