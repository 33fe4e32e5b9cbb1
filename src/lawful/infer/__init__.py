"""What a fit implies: intervals, allocations and the price of a mistake."""
