"""The custom group fields of a channel: which keys of the app are ours."""

from dataclasses import dataclass

from channel_adapter.tencent import limits


@dataclass(frozen=True, slots=True)
class FieldKeys:
    """Names of the custom group fields that are ours."""

    tag: str
    organization: str | None = None
    custom_data: tuple[str, ...] = ()

    def all(self) -> list[str]:
        """Every key, the tag first."""
        organization = [self.organization] if self.organization else []
        return [self.tag, *organization, *self.custom_data]

    def check(self) -> None:
        """Raise ValueError for a key that no app can declare, and for too many of them [docS 1502, doc 34419]."""
        keys = self.all()
        for key in keys:
            check_key(key)
        if len(set(keys)) != len(keys):
            raise ValueError("the same custom group field key is named twice")
        if len(keys) > limits.GROUP_FIELD_KEYS:
            raise ValueError(f"{len(keys)} custom group field keys; an app has {limits.GROUP_FIELD_KEYS} in all")


def check_key(key: str) -> None:
    """Raise ValueError for a custom group field key that no app can declare [docS 1502, doc 34419]."""
    if not (key.isascii() and key.replace("_", "a").isalnum() and len(key) <= limits.GROUP_FIELD_KEY_BYTES):
        raise ValueError(
            f"custom group field key {key!r}: letters, digits and _ only, {limits.GROUP_FIELD_KEY_BYTES} bytes at most"
        )
    if key[:1].isdigit():
        raise ValueError(f"custom group field key {key!r} begins with a digit, which the console refuses")
