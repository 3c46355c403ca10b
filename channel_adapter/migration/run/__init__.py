"""Carrying out a plan: jobs of channels, their steps, the journal that they continue from."""
