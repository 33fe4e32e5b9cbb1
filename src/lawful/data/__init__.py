"""From files to runs."""
