"""The local designer page: pipelines edited, run and looked at in a browser on this machine."""
