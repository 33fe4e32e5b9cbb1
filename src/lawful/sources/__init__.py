"""From files and published sets to runs."""
