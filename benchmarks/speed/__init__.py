"""Timing against peers; never run by the tests."""
