"""The valley of a sum of squares: its floor at every value of a quantity, exactly."""
