"""Official accounts: profiles, subscribers, broadcasts and webhooks, as far as migration needs them."""
