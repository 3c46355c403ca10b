"""Callbacks of the service, in: verified, parsed, kept, turned into events of channels."""
