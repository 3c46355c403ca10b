"""Where channels come from: `source` is what every source can do, `open_source` opens the one that a plan names."""
