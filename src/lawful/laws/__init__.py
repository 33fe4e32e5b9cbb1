"""Laws, their catalogue, and laws with numbers: surfaces."""
