"""Comparing source and target after a move."""
