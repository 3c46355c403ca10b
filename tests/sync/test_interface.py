"""Public methods of ChannelAdapter: SyncChannelAdapter has and declares each of them."""

import inspect
from dataclasses import is_dataclass

from channel_adapter import ChannelAdapter, SyncChannelAdapter
from tests.sync.interface import STUB, Interface, methods, parts, public

REMEDY = "run `python -m tests.sync.interface`"


def test_declared_interface_equals_that_of_asynchronous_classes() -> None:
    assert STUB.read_text(encoding="utf-8") == Interface().text(), REMEDY


def test_both_adapters_have_same_methods(sync_adapter: SyncChannelAdapter) -> None:
    own = {"close", "receive_webhooks"}
    assert {*dir(sync_adapter)} - own == {*public(ChannelAdapter), "settings"}
    for name, kind in parts().items():
        if is_dataclass(kind):  # a value that both adapters share
            continue
        part = getattr(sync_adapter, name)
        for method, value in methods(kind).items():
            twin = getattr(part, method)
            if not isinstance(value, property):
                assert callable(twin), f"{name}.{method}"
                assert not inspect.iscoroutinefunction(twin), f"{name}.{method}"
