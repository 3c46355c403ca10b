"""Official accounts: profiles, subscribers and broadcasts, as far as migration reads and sends them."""
