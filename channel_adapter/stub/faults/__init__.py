"""Faults of the stub: which calls they match, what happens to those calls, and how their answers are sent."""
