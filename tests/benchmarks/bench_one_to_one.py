"""Cost of one-to-one messages in the stub: memory of a pair with its first message, CPU time of sending and reading.

An official account writes to all its subscribers, once with batchsendmsg and once with sendmsg; then all write to it,
with a listener, so that each event counts the unread messages of the account. Prints results; asserts nothing.

    python -m tests.benchmarks.bench_one_to_one [--users N]
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent.catalog import COMMANDS

HARBOUR = "@TOA#_harbour"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "Gale warning"}}]
OFFICIAL = "official_account_open_http_svc"
SETTINGS = StubSettings.model_validate(
    {"limits": {"batch_messages_per_minute": 2**31, "official_subscribers_per_call": 2**31, "accounts": 2**31}}
)


class Service:
    """State of the stub whose commands are called by name."""

    def __init__(self) -> None:
        self.world = StubState(SETTINGS)

    def call(self, name: str, service: str = "openim", /, **body: Any) -> Any:
        return self.world.execute(COMMANDS[service, name], body, caller="administrator")


def cpu_of(work: Callable[[], object], calls: int) -> float:
    """Return the CPU time of one call in microseconds."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--small", action="store_true", help="a short run")
    options = parser.parse_args()
    users = [f"user_{number}" for number in range(1_000 if options.small else options.users)]
    stub = Service()
    stub.call("multiaccount_import", "im_open_login_svc", Accounts=["editor", *users])
    stub.call("create_official_account", OFFICIAL, OfficialAccountUserID=HARBOUR, Owner_Account="editor", Name="n")
    subscribers = [{"Subscriber_Account": user} for user in users]
    stub.call("add_subscriber", OFFICIAL, Official_Account=HARBOUR, SubscriberList=subscribers)

    def batches() -> None:
        for start in range(0, len(users), 500):
            receivers = users[start : start + 500]
            stub.call("batchsendmsg", From_Account=HARBOUR, To_Account=receivers, MsgRandom=start, MsgBody=TEXT)

    tracemalloc.start()
    batches()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"memory: {size / len(users):.0f} bytes a pair with one message, {len(users)} pairs")
    print(f"batchsendmsg: {cpu_of(batches, len(users)):.1f} us of CPU a receiver")

    def send_all() -> None:
        for number, user in enumerate(users):
            stub.call("sendmsg", From_Account=HARBOUR, To_Account=user, MsgSeq=number, MsgRandom=1, MsgBody=TEXT)

    def answer_all() -> None:
        for number, user in enumerate(users):
            stub.call("sendmsg", From_Account=user, To_Account=HARBOUR, MsgSeq=number, MsgRandom=2, MsgBody=TEXT)

    def count_all() -> None:
        for user in users:
            stub.call("get_c2c_unread_msg_num", To_Account=user)

    print(f"sendmsg: {cpu_of(send_all, len(users)):.1f} us of CPU, all within the window of repeats")
    stub.world.listen(lambda event: None)
    cost = cpu_of(answer_all, len(users))
    print(f"sendmsg to an account with {len(users)} conversations, with its event: {cost:.1f} us of CPU")
    print(f"get_c2c_unread_msg_num: {cpu_of(count_all, len(users)):.1f} us of CPU")


if __name__ == "__main__":
    main()
