"""State of the stub for direct calls with wire names; refusals are returned as codes."""

from typing import Any

from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.stub.world.context import CallbackEvent
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent.catalog import COMMANDS

ADMIN = "administrator"
NOW = 1_770_000_000
DAY = 86_400
CHANNEL = "@TGS#_harbour"
OWNER = "editor_7"


def text(words: str = "tide table") -> list[dict[str, Any]]:
    """Return a MsgBody of one text element."""
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": words}}]


class Play:
    """State of the stub with a frozen clock; calls are made as an app admin by command name."""

    def __init__(self, **sections: dict[str, Any]) -> None:
        self.events: list[CallbackEvent] = []
        self.clock = StubClock()
        self.clock.freeze(NOW)
        settings = StubSettings().changed(**sections)
        self.world = StubState(settings, clock=self.clock, on_event=self.events.append)
        self._random = 0

    def call(self, name: str, service: str = "group_open_http_svc", /, **body: Any) -> dict[str, Any]:
        """Return the reply as JSON; raise its Refusal."""
        reply = self.world.execute(COMMANDS[service, name], body, caller=ADMIN)
        return reply.to_wire()

    def code(self, name: str, service: str = "group_open_http_svc", /, **body: Any) -> int:
        """Return the code with which a call is refused, or 0."""
        try:
            self.call(name, service, **body)
        except Refusal as refusal:
            return refusal.code
        return 0

    def users(self, *users: str) -> None:
        """Import accounts."""
        for user in users:
            self.call("account_import", "im_open_login_svc", UserID=user)

    def channel(self, *members: str, group: str = CHANNEL, **fields: Any) -> str:
        """Create a Community with an owner and members."""
        self.users(OWNER, *members)
        self.call("create_group", Type="Community", GroupId=group, Name="Harbour", Owner_Account=OWNER, **fields)
        if members:
            self.add(*members, group=group)
        return group

    def add(self, *members: str, group: str = CHANNEL) -> list[int]:
        """Add members and return their results."""
        reply = self.call("add_group_member", GroupId=group, MemberList=[{"Member_Account": user} for user in members])
        return [item["Result"] for item in reply["MemberList"]]

    def send(self, words: str = "tide table", group: str = CHANNEL, **fields: Any) -> int:
        """Send as the owner with a new Random and return the seq."""
        self._random += 1
        sent = {"GroupId": group, "Random": self._random, "From_Account": OWNER, "MsgBody": text(words)} | fields
        seq = self.call("send_group_msg", **sent)["MsgSeq"]
        assert isinstance(seq, int)
        return seq

    def info(self, group: str = CHANNEL) -> dict[str, Any]:
        """Return the group's item of get_group_info."""
        item: dict[str, Any] = self.call("get_group_info", GroupIdList=[group])["GroupInfo"][0]
        return item

    def member(self, user: str, group: str = CHANNEL) -> dict[str, Any] | None:
        """Return the member's item, or None if the user is not a member."""
        found = self.call("get_specified_group_member_info", GroupId=group, Member_List_Account=[user])["MemberList"]
        return found[0] if found else None

    def told(self, command: str) -> list[dict[str, Any]]:
        """Return the bodies of all after-events of one command."""
        return [event.body for event in self.events if event.command == command]
