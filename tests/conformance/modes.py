"""Support of every public method of an adapter and its parts in official mode.

A supported method behaves as in Community mode, which the tests of this package compare; any other raises
UnsupportedError before a call. A row of an option is next to the row of its method.
"""

import inspect
from functools import cached_property
from typing import Final, Literal

from channel_adapter import ChannelAdapter
from channel_adapter.errors import UnsupportedError
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.channels import Channels
from channel_adapter.services.directory import Directory
from channel_adapter.services.insights import Insights
from channel_adapter.services.invites import Invites
from channel_adapter.services.media import Media
from channel_adapter.services.messages import Messages
from channel_adapter.services.posts import Posts
from channel_adapter.services.reactions.service import ReactionService
from channel_adapter.services.subscriptions import Subscriptions
from channel_adapter.services.unread.service import UnreadService
from channel_adapter.webhooks.events import Events
from channel_adapter.webhooks.guard import Guard

Verdict = Literal["works", "unsupported"]
PARTS: Final[dict[str, type]] = {
    "": ChannelAdapter,
    "accounts": Accounts,
    "channels": Channels,
    "directory": Directory,
    "events": Events,
    "guard": Guard,
    "insights": Insights,
    "invites": Invites,
    "media": Media,
    "messages": Messages,
    "posts": Posts,
    "reactions": ReactionService,
    "subscriptions": Subscriptions,
    "unread": UnreadService,
}

_METHODS: Final[dict[Verdict, dict[str, str]]] = {
    "works": {
        "": "aclose call call_rates can doctor export_channel open run_jobs",
        "accounts": "add add_stream check",
        "channels": "adopt all block blocked create delete exists finish forget get get_many resume staff subscribed"
        " suspend unblock unverify update verify",
        "directory": "get hide record refresh require_categories search set_categories",
        "events": "key listen_for_invalidations on plan stream",
        "guard": "answer on",
        "insights": "channel drop growth record stored_views",
        "invites": "accept create drop list qr revoke",
        "media": "add inspect",
        "messages": "contact edit mark_read recall send send_many send_many_stream thread threads unread",
        "posts": "acknowledge aclose check_schedule dedupe_of discard_draft draft drafts get get_draft get_scheduled"
        " history pin pinned preview publish publish_draft publish_due publish_now recall reschedule schedule"
        " schedule_lag schedule_status schedule_values scheduled unpin unschedule",
        "reactions": "aclose adopt by_day drop drop_channel finding flush get get_many left merge policy probe publish"
        " react reactors reconcile set_policy start unpublished unreact",
        "subscriptions": "count follow is_subscribed subscribe subscribe_stream subscribers unfollow unsubscribe"
        " unsubscribe_stream",
        "unread": "assign catch_up fold get get_many groups hide mark_all_read mark_read marks note remove"
        " rename star sync sync_many sync_many_stream unassign unassign_left",
    },
    "unsupported": {
        "": "migration",
        "channels": "demote promote transfer",
        "insights": "views",
        "messages": "set_contact",
        "posts": "edit",
        "subscriptions": "mute notifications set_notifications unmute",
    },
}


def _full_name(part: str, name: str) -> str:
    return f"{part}.{name}" if part else name


METHODS: Final[dict[str, Verdict]] = {
    _full_name(part, name): verdict
    for verdict, parts in _METHODS.items()
    for part, names in parts.items()
    for name in names.split()
}
OPTIONS: Final = frozenset({"posts.publish(silent=True)", "posts.publish(author=)", "channels.update(contact=)"})
"""Options that are unsupported, of methods that work."""


def public_methods() -> set[str]:
    """Return the public methods of an adapter and its parts, which themselves are cached properties of the adapter."""
    return {
        _full_name(part, name)
        for part, kind in PARTS.items()
        for name, member in inspect.getmembers(kind)
        if name[0] != "_" and not isinstance(member, cached_property)
    }


def works(name: str) -> bool:
    """Return whether a method or an option works in official mode. Raises KeyError for one without a row."""
    return name not in OPTIONS and METHODS[name] == "works"


def is_expected(error: UnsupportedError) -> bool:
    """Return whether the table lists everything that the error names as unsupported."""
    names = error.message.partition(": ")[2].partition(" (")[0].split(" and ")
    return all(name in OPTIONS or METHODS.get(name) == "unsupported" for name in names)
