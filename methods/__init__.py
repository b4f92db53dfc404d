"""The science: players, networks and objectives. Knows no path, YAML file, dataset name or metric."""
