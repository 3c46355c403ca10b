"""Settings of an app: their model and sources, and which optional extras are installed."""
