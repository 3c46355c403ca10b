"""Spans, metrics and health."""
