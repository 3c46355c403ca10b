"""How a command says no."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """The service's answer with an `ErrorCode` other than 0; nothing was changed.

    `guess` names the entry of the list of divergences that says why the real service may answer otherwise; the
    caller reads it in `ErrorInfo`.
    """

    def __init__(self, code: int, info: str, *, guess: str | None = None) -> None:
        super().__init__(f"{code}: {info}")
        self.code = code
        self.info = info if guess is None else f"{info} [stub guess: {guess}]"
