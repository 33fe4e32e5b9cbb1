"""From results to eyes: tables, figures, JSON and the report."""
