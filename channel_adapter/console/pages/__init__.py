"""Pages of the console, one module each: handlers, and `ROUTES` with the role that each needs."""
