"""The Lean that a wheel carries: its library, and processes that check one text each."""
