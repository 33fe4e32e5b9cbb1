"""The self-contained report, and the page about what changed."""
