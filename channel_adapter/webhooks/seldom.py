"""What would fill the log while something is down is logged once a minute."""

from channel_adapter.concurrency.http_server import LogThrottle as Seldom

__all__ = ["Seldom"]
