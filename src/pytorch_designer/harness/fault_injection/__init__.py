"""Faults on demand for the processes of a job: kills, small or broken disks, slow and flaky opens, no network.

Needs no compiler and knows nothing of jobs: it wraps the arguments of a process and watches it from outside.
"""
