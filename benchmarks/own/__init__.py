"""A user's own runs, methods and results beside the suite's."""
