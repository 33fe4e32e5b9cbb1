"""Where to spend a budget, and what a mistake would cost."""
