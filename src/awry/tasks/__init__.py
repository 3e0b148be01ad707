"""What is asked of a policy, and what its answer was worth."""
