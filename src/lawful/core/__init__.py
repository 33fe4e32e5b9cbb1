"""The nouns: runs, laws, surfaces, objectives, cost and notes. NumPy only."""
