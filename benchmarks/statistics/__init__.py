"""What the numbers show: verdicts on cells, claims, places in a column, differences from baselines, their power."""
