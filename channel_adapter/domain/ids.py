"""Identifiers. Only `mapping.ids` makes them, so a value of these types has passed the rules of the service."""

from typing import NewType

ChannelId = NewType("ChannelId", str)
"""A channel as client SDKs, webhooks and the console know it, for example `@TGS#_harbor_news`."""

UserId = NewType("UserId", str)
"""An account of the app."""
