"""One user's conversation groups and marks. Stored apart from the list of recent conversations [doc 53437]."""

from dataclasses import dataclass, field

Conversation = tuple[int, str]  # Type and the peer's or group's id


@dataclass(slots=True)
class Entry:
    """What is filed about one conversation. `mark` holds the standard bits."""

    groups: list[int] = field(default_factory=list)
    mark: int = 0
    custom_mark: str = ""
    time: int = 0  # of the last change, seconds

    @property
    def bare(self) -> bool:
        return not (self.groups or self.mark or self.custom_mark)


@dataclass(slots=True)
class ContactBook:
    """Conversation groups by number, which is never reused, and entries in the order of their first change."""

    groups: dict[int, str] = field(default_factory=dict)
    entries: dict[Conversation, Entry] = field(default_factory=dict)
    next_group: int = 1
    deleted: dict[Conversation, int] = field(default_factory=dict)  # from the recent list, and when

    def number(self, name: str) -> int | None:
        """The number of the group with this name."""
        return next((number for number, known in self.groups.items() if known == name), None)

    def add_group(self, name: str) -> int:
        number = self.next_group
        self.groups[number] = name
        self.next_group += 1
        return number

    def remove_group(self, number: int, now: int) -> None:
        """Forget the group; its conversations stay."""
        del self.groups[number]
        for conversation in self.conversations(number):
            self.unfile(conversation, number, now)

    def conversations(self, number: int | None = None) -> list[Conversation]:
        """Those in one group, or in any."""
        return [
            conversation
            for conversation, entry in self.entries.items()
            if (entry.groups if number is None else number in entry.groups)
        ]

    def marked(self) -> list[Conversation]:
        """Those with a standard or a custom mark."""
        return [key for key, entry in self.entries.items() if entry.mark or entry.custom_mark]

    def file(self, conversation: Conversation, number: int, now: int) -> bool:
        """Put into a group; False if it is in there already."""
        entry = self.entries.setdefault(conversation, Entry())
        if number in entry.groups:
            return False
        entry.groups.append(number)
        entry.time = now
        return True

    def unfile(self, conversation: Conversation, number: int, now: int) -> bool:
        """Take out of a group; False if it is not in there."""
        entry = self.entries.get(conversation)
        if entry is None or number not in entry.groups:
            return False
        entry.groups.remove(number)
        entry.time = now
        self._drop_if_bare(conversation)
        return True

    def mark(self, conversation: Conversation, mark: int, custom_mark: str, now: int) -> None:
        """Write both kinds of marks."""
        entry = self.entries.setdefault(conversation, Entry())
        entry.mark, entry.custom_mark, entry.time = mark, custom_mark, now
        self._drop_if_bare(conversation)

    def forget(self, conversation: Conversation) -> None:
        """Drop whatever is filed about it."""
        self.entries.pop(conversation, None)

    def _drop_if_bare(self, conversation: Conversation) -> None:
        if self.entries[conversation].bare:
            del self.entries[conversation]
