"""Every command of the service that an application with channels or official accounts can call, one row each.

`COMMANDS` looks a row up by (service, command); rows have names for typed calls. Sources: document numbers of the
service's own pages; decisions in brackets.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from channel_adapter.tencent import limits
from channel_adapter.tencent.command import Command, Community, Retry
from channel_adapter.tencent.wire import accounts, groups, members, messages

GROUP_SERVICE = "group_open_http_svc"
MESSAGE_SERVICE = "openim"
ACCOUNT_SERVICE = "im_open_login_svc"

READ, REPEATABLE, RANDOM, UNSAFE = Retry.READ, Retry.REPEATABLE, Retry.RANDOM, Retry.UNSAFE
YES, NO, DISPUTED, UNRELATED = Community.YES, Community.NO, Community.DISPUTED, Community.UNRELATED

# Groups
CREATE_GROUP = Command(
    GROUP_SERVICE, "create_group", groups.CreateGroupRequest, groups.CreateGroupReply,
    REPEATABLE, YES, "doc 1615/34895; repeatable because we always send GroupId",
)  # fmt: skip

COMMANDS: Mapping[tuple[str, str], Command[Any, Any]] = MappingProxyType(
    {(row.service, row.name): row for row in list(globals().values()) if isinstance(row, Command)}
)
