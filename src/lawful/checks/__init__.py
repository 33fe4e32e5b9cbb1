"""Which runs should not count, each with a reason."""
