"""How a command says no."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """The service's answer with an `ErrorCode` other than 0; nothing was changed."""

    def __init__(self, code: int, info: str) -> None:
        super().__init__(f"{code}: {info}")
        self.code = code
        self.info = info
