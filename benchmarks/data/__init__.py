"""Datasets: where they come from, and the arrays that trainings and metrics see."""
