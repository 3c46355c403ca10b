"""A channel whose older posts have expired without a trace: the cost of reading depends on the remaining posts."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aioresponses import CallbackResult, aioresponses

from channel_adapter import ChannelAdapter, Settings
from channel_adapter.domain.ids import ChannelId
from tests.backends import community
from tests.faults.conftest import OK, PRIMARY, FakeClock, ScriptedResponse


class Remnant:
    """Answers for one channel that still has the posts `numbers`."""

    def __init__(self, mock: aioresponses) -> None:
        self.numbers: list[int] = []
        self.reads = 0
        mock.post(re.compile(".*"), callback=self.answer, repeat=True)

    def answer(self, url: Any, *, data: bytes, **_: Any) -> CallbackResult:
        body = orjson.loads(data)
        if url.path.endswith("get_group_info"):
            tag = {"Key": "ch_tag", "Value": "ch1"}
            group = {"GroupId": "@TGS#_tides", "ErrorCode": 0, "ErrorInfo": "", "AppDefinedData": [tag]}
            return self._reply({"GroupInfo": [group]})
        self.reads += 1
        top = body.get("ReqMsgSeq", max(self.numbers, default=0))
        page = [number for number in reversed(self.numbers) if number <= top][: body["ReqMsgNumber"]]
        return self._reply({"GroupId": "@TGS#_tides", "IsFinished": 1, "RspMsgList": [self._message(n) for n in page]})

    def _message(self, number: int) -> dict[str, Any]:
        text = {"MsgType": "TIMTextElem", "MsgContent": {"Text": f"post {number}"}}
        return {
            "From_Account": "owner", "IsPlaceMsg": 0, "MsgBody": [text], "MsgPriority": 1, "MsgRandom": number,
            "MsgSeq": number, "MsgTimeStamp": 1_700_000_000 + number,
        }  # fmt: skip

    def _reply(self, fields: dict[str, Any]) -> CallbackResult:
        return CallbackResult(body=orjson.dumps(OK | fields), response_class=ScriptedResponse)


@pytest.fixture
def remnant() -> Iterator[Remnant]:
    with aioresponses() as mock:
        yield Remnant(mock)


@asynccontextmanager
async def reader() -> AsyncIterator[ChannelAdapter]:
    given = Settings(sdkappid=1400000001, key="k" * 64, base_url=PRIMARY)
    async with ChannelAdapter.open(given, clock=FakeClock()) as adapter:
        yield adapter


@pytest.mark.parametrize("oldest", [1, 2, 19, 20, 21, 22, 40, 41, 60, 77, 1_000, 999_936, 999_990, 1_000_000])
async def test_remaining_posts_are_returned_once_oldest_first(remnant: Remnant, oldest: int) -> None:
    remnant.numbers = list(range(oldest, oldest + 60))
    async with reader() as adapter:
        found = [post.ref.seq async for post in adapter.posts.history("tides", oldest_first=True)]
    assert found == remnant.numbers
    assert remnant.reads <= 30


async def test_gaps_between_remaining_posts_hide_none(remnant: Remnant) -> None:
    remnant.numbers = [100, 101, 170, 171, 172, 300]
    async with reader() as adapter:
        found = [post.ref.seq async for post in adapter.posts.history("tides", oldest_first=True)]
        below = [post.ref.seq async for post in adapter.posts.history("tides", oldest_first=True, before=172)]
    assert found == remnant.numbers
    assert below == [100, 101, 170, 171]


@pytest.mark.parametrize("oldest", [1, 20, 999_936])
async def test_post_number_at_a_time_is_found_among_remaining_posts(remnant: Remnant, oldest: int) -> None:
    remnant.numbers = [*range(oldest, oldest + 100, 3), oldest + 200]
    async with reader() as adapter:
        for second in [0, *range(oldest - 1, oldest + 105), oldest + 199, oldest + 200, oldest + 300]:
            remnant.reads = 0
            found = await community(adapter).post_history.number_at(ChannelId("@TGS#_tides"), 1_700_000_000 + second)
            assert found == max((number for number in remnant.numbers if number <= second), default=0)
            assert remnant.reads <= 21
        remnant.numbers = []
        assert await community(adapter).post_history.number_at(ChannelId("@TGS#_tides"), 1_700_000_000) == 0


@pytest.mark.parametrize("oldest_first", [True, False])
async def test_fully_expired_history_is_empty(remnant: Remnant, oldest_first: bool) -> None:
    async with reader() as adapter:
        assert [post async for post in adapter.posts.history("tides", oldest_first=oldest_first)] == []
        gone = [post async for post in adapter.posts.history("tides", oldest_first=oldest_first, before=1_000_000)]
    assert gone == []
    assert remnant.reads < 10
