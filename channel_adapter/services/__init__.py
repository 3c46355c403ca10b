"""What the adapter does, one file a capability. Nothing of the wire leaves this package."""
