"""The refusal of a command, with its code; also of commands that the stub does not play."""

from channel_adapter.tencent import codes

LISTED = "`channel-adapter stub --commands` lists what it plays"
REPLACED = "the stub was reset or got another state while the app was asked"


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """The service's answer with an `ErrorCode` other than 0; nothing was changed.

    `guess` is the id of the entry in the list of divergences about it; `ErrorInfo` has it.
    """

    def __init__(self, code: int, info: str, *, guess: str | None = None) -> None:
        super().__init__(f"{code}: {info}")
        self.code = code
        self.info = info if guess is None else f"{info} [stub guess: {guess}]"


def not_played(path: str, what: str = "", *, hint: str = "") -> Refusal:
    """Return the refusal of a command that the stub does not carry out: 60002, which no client sends again."""
    where = f" for {what}" if what else ""
    return Refusal(
        codes.BAD_URL,
        f"the stub does not play {path}{where}; {hint}{' ' if hint else ''}{LISTED}",
        guess="not-played",
    )
