"""The main job in one call: fits, intervals, decisions and the evidence behind a report."""
