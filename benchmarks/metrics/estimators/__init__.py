"""Estimators that several metrics share."""
