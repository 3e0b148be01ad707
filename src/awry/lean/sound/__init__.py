"""The sound grade: the written file decoded, compared, and checked again by the kernel."""
