"""One row for every documented code of every command: the situation in which the stub returns it."""
