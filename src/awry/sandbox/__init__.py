"""Run untrusted programs in disposable, limited processes. Knows nothing of tasks or rewards."""
