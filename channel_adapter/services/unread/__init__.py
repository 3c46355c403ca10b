"""Unread counts and the conversation groups of users."""
