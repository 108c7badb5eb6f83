"""One file a component: its definition and a thin `run`."""
