"""Webhooks as an inbox receives them, created without a request."""

from typing import Any

from channel_adapter.webhooks.inbox import HandlerStep
from channel_adapter.webhooks.parse import WebhookEvent, make_event

COMMAND = "OfficialAccount.CallbackAfterAddSubscriber"
START = 1_736_000_000_000


def followed(who: str, *, account: str = "@TOA#_a", at: int = 0, now: float = 1_736_000_000.0) -> WebhookEvent:
    """Return the event that `who` followed an account, `at` milliseconds after a fixed time."""
    body = {
        "CallbackCommand": COMMAND,
        "Official_Account": account,
        "Operator_Account": who,
        "SubscribeAccountList": [{"Subscriber_Account": who}],
        "EventTime": START + at,
    }
    return make_event(COMMAND, body, {"optplatform": "iOS"}, now=now)


def who_of(event: WebhookEvent) -> str:
    return str(event.body["Operator_Account"])


class Recorder:
    """A plan of one step that records the users of its events and fails as often as configured."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.failing: dict[str, int] = {}
        self.planned = 0

    async def plan(self, event: WebhookEvent) -> list[HandlerStep]:
        self.planned += 1

        async def run(connection: Any) -> None:
            name = who_of(event)
            self.seen.append(name)
            if self.failing.get(name, 0) > 0:
                self.failing[name] -= 1
                raise ValueError(f"{name} is not wanted, token=abc123")

        return [HandlerStep("record", run)]
