"""The custom group fields of a channel: which keys of the app are ours."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldKeys:
    """Names of the custom group fields that are ours."""

    tag: str
    organization: str | None = None
    custom_data: tuple[str, ...] = ()

    def all(self) -> list[str]:
        """Return every key, the tag first."""
        organization = [self.organization] if self.organization else []
        return [self.tag, *organization, *self.custom_data]
