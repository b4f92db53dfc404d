"""The command line: a module for each kind of command."""
