"""Whether two evaluations may be compared, and what comes of it."""
