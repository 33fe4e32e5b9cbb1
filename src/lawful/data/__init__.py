"""The door: columns of a table become validated runs. NumPy only."""
