"""The command line: one file a command group; it may import anything and nobody imports it."""
