"""Studies: known truths put through the same road as real runs."""
