"""Figures with matplotlib, and the tables they are drawn from."""
