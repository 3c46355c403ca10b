"""Channels as Community groups that carry a tag in a custom group field."""
