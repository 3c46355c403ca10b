"""Waits of a failed event before its next attempt."""

from channel_adapter.webhooks.retry import MAX_WAIT, RetryPolicy


def test_wait_doubles_up_to_the_maximum_and_ends_after_the_last_attempt() -> None:
    policy = RetryPolicy(10, 1.0)
    assert [policy.wait_after(n) for n in range(1, 11)] == [1, 2, 4, 8, 16, 32, MAX_WAIT, 60, 60, None]
    assert RetryPolicy(1, 1.0).wait_after(1) is None
