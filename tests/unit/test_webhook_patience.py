"""How long a failed event waits for its next attempt."""

from channel_adapter.webhooks.handling import LONGEST_WAIT, Patience


def test_patience_grows_and_ends() -> None:
    patience = Patience(10, 1.0)
    assert [patience.wait_after(n) for n in range(1, 11)] == [1, 2, 4, 8, 16, 32, LONGEST_WAIT, 60, 60, None]
    assert Patience(1, 1.0).wait_after(1) is None
