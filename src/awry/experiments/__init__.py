"""Experiments: the YAML file, the stage store, the plan and its runner, preflight checks."""
