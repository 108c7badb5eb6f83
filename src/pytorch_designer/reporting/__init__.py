"""Pages and figures for people: what a run measured, in files that open anywhere."""
