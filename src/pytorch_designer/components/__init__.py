"""One file per component: its definition and a thin `run`."""
