"""Checks Azure ML component and pipeline files for what the SDK accepts although it is wrong."""
