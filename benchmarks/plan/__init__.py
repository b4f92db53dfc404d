"""From tables, figures and claims to jobs, and which of their results are current."""
