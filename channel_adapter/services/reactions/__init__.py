"""Reactions of users to posts: in a store, or on the messages alone."""
