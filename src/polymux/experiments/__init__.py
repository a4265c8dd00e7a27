"""Experiments: campaigns in which gold labels answer, and what their results say."""
