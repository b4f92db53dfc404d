"""What the YAML files and the source files declare, read without importing torch."""
