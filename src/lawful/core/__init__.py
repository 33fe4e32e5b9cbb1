"""What every room speaks: notes, objectives, cost, numbers and arrays. NumPy only."""
