"""What can be said of results without running anything."""
