"""Tencent Cloud Chat, server REST API v4. Knows nothing of channels."""
