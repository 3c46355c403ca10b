"""Documented codes that no state of the stub returns: reasons, and rows that return them by a fault."""

from collections.abc import Iterator, Mapping

from tests.stub.documented.case import OFFICIAL, Case

INSIDE = "something broke inside the service"
ADMIN_ONLY = "the gate lets app admins through, and they may do everything"
MODERATED = "the stub judges no content"
CONSOLE = "a switch of the console that the stub does not have"
PLAN = "a quota of a plan that the stub does not play"
AT_ONCE = "takes two writers at once; the world does one thing at a time"
OFTEN = "a frequency that the stub does not count"
GATE_FIRST = "the gate answers before it, with a code of its own"
OTHER_CODE = "another documented code says the same, and the stub answers that"
SHARED_PAGE = "the page lists the codes of a whole family"
NOT_PLAYED = "the feature is refused as a whole"
PERMISSIONS = "rights on single fields, which the stub does not keep"
NO_WINDOW = "admins recall whatever is still kept"

BY_CODE: Mapping[int, str] = {
    **dict.fromkeys((10002, 20004, 20005, 30006, 30007, 40006, 50004, 50005, 90992, 91000), INSIDE),
    **dict.fromkeys((70169, 70202, 70500, 20018, 90994, 90995), INSIDE),
    **dict.fromkeys((10007, 40004, 50003, 70403, 90009, 130002), ADMIN_ONLY),
    **dict.fromkeys((80001, 80003, 80004, 40005), MODERATED),
    **dict.fromkeys((10026, 10041), CONSOLE),
    **dict.fromkeys((10036, 10058, 10059), PLAN),
    **dict.fromkeys((10056, 30008), AT_ONCE),
    **dict.fromkeys((10006, 10049, 10023), OFTEN),
    **dict.fromkeys((10003, 20001, 20002, 10008, 90001), GATE_FIRST),
    **dict.fromkeys((10020, 93000, 10037, 70398, 90003), OTHER_CODE),
    **dict.fromkeys((10031, 10032, 10033), NO_WINDOW),
    20012: CONSOLE,
    90055: OTHER_CODE,
    **dict.fromkeys((40007, 40008), PERMISSIONS),
    **dict.fromkeys((10060, 10061, 10062, 51012, 23001, 23002, 23003), NOT_PLAYED),
    **dict.fromkeys((51006, 51007, 51008, 51009, 51010, 51011, 130004, 130007, 130008), SHARED_PAGE),
    **dict.fromkeys((10045, 10046, 10047, 10048, 10050, 10063), SHARED_PAGE),
}
INTERNAL_OF_OFFICIAL = 10_004  # a bad parameter elsewhere
MESSAGE_COMMANDS = ("send_official_account_msg", "official_account_msg_get_simple", "official_account_msg_recall")


def reason(path: str, code: int) -> str | None:
    """Return why only a fault can return this code, or None."""
    service, _, name = path.partition("/")
    if service == OFFICIAL and code == INTERNAL_OF_OFFICIAL and name not in MESSAGE_COMMANDS:
        return INSIDE
    return BY_CODE.get(code)


def fault_cases(documented: Mapping[str, frozenset[int]], shown: set[tuple[str, int]]) -> Iterator[Case]:
    """Yield a row for each documented code that is not in `shown` and that only a fault can return."""
    for path, codes in documented.items():
        for code in sorted(codes):
            why = reason(path, code)
            if (path, code) not in shown and why is not None:
                yield Case(path, code, {}, fault=why)
