"""The results folder: records, metric files and their checks."""
