"""The group `webhooks`; its commands stand in modules of their own."""

from channel_adapter.cli.command import group

app = group("webhooks")
