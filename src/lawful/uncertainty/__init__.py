"""How sure: linearised, profile and bootstrap intervals, and whether they hold."""
