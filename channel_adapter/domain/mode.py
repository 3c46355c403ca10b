"""The two modes of the adapter and what the service can do in each."""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """How channels are stored on the service."""

    COMMUNITY = "community"  # Community groups that carry a tag
    OFFICIAL = "official"  # official accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the service can do in a mode.

    Where one is False, the methods that need it raise UnsupportedError before any call, or have a substitute: see
    "Official-account mode" in the manual.
    """

    edit_posts: bool
    silent_posts: bool
    named_authors: bool
    roles: bool
    notification_text: bool
    notify: bool
    set_notifications: bool
    read_notifications: bool
    list_all: bool
    attributes: bool
    read_to_number: bool
    service_reactions: bool
    detect_lost_posts: bool
    import_history: bool
    import_subscribers: bool
    transfer: bool
    views: bool
    close_posting: bool
    contacts: bool


COMMUNITY_CAPABILITIES = Capabilities(
    edit_posts=True,
    silent_posts=True,
    named_authors=True,
    roles=True,
    notification_text=True,
    notify=True,
    set_notifications=True,
    read_notifications=True,
    list_all=True,
    attributes=True,
    read_to_number=True,
    service_reactions=True,
    detect_lost_posts=True,
    import_history=True,
    import_subscribers=True,
    transfer=True,
    views=True,
    close_posting=True,
    contacts=True,
)

OFFICIAL_CAPABILITIES = Capabilities(
    edit_posts=False,
    silent_posts=False,
    named_authors=False,
    roles=False,
    notification_text=False,
    notify=False,
    set_notifications=False,
    read_notifications=False,
    list_all=False,
    attributes=False,
    read_to_number=False,
    service_reactions=False,
    detect_lost_posts=False,
    import_history=False,
    import_subscribers=False,
    transfer=False,
    views=False,
    close_posting=False,
    contacts=False,
)
