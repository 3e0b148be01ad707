"""Batched sampling and log-likelihood; training and evaluation share it."""
