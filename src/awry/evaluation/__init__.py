"""What a policy does on benchmarks: items, responses, scores, and which numbers may be compared."""
