"""What an answer is marked with: detectors, a fitted model, judges; and how well they agree with people."""
