"""Runs before they exist, and how well methods foresaw runs that were held out."""
