"""The operator that runs a step."""
