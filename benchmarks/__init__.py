"""The experiments: data, runs, metrics, tables, figures, claims and reports."""
