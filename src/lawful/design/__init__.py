"""Sweeps that are still to be run: plans, their information, and known truths."""
