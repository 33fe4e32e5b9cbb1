"""The command line: one command per verb, no numerics."""

from lawful.cli.app import app, main

__all__ = ["app", "main"]
