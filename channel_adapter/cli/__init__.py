"""The command line: one module for each command group. No other package imports it."""
