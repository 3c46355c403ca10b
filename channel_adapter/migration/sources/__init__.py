"""Where channels come from: `source` is the protocol; `migration/context.py` opens the source that a plan names."""
