"""The numerics of a fit: arrays in, arrays out."""
