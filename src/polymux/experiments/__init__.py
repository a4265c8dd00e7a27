"""Whole experiments: what a method is worth, on any model and data."""
