"""What Approach 2 gets wrong: the shift of a parabola, its bias on a sweep, published pairs."""
