"""Official-account mode: channels as official accounts, posts as their broadcasts."""
