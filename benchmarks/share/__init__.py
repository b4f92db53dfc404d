"""What leaves the machine: bundles and citations."""
