"""Webhooks that the stub sends to the server of the app."""
