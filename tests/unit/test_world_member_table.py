"""The columnar member table compared with a plain dictionary, and its cost."""

import sys
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channel_adapter.stub.world.member_table import FLAGS, MemberRole, MemberTable

USERS = st.integers(0, 200).map(lambda number: f"u{number}")


class TableAndDict(RuleBasedStateMachine):
    """A table and a dictionary with the same changes; the dictionary keeps the order of joining."""

    def __init__(self) -> None:
        super().__init__()
        self.table = MemberTable()
        self.plain: dict[str, list[Any]] = {}

    @rule(user=USERS, role=st.sampled_from(MemberRole), time=st.integers(-(2**40), 2**40))
    def add(self, user: str, role: MemberRole, time: int) -> None:
        if user not in self.plain:
            self.table.add(user, role, time, 0)
            self.plain[user] = [role, time, 0, FLAGS[0]]

    @rule(user=USERS)
    def remove(self, user: str) -> None:
        self.table.remove(user)
        self.plain.pop(user, None)

    @rule(start=st.integers(0, 60), length=st.integers(1, 100))
    def remove_many(self, start: int, length: int) -> None:
        for user in list(self.plain)[start : start + length]:
            self.remove(user)

    @rule(user=USERS, role=st.sampled_from(MemberRole), seq=st.integers(0, 2**32 - 1), flag=st.sampled_from(FLAGS))
    def change(self, user: str, role: MemberRole, seq: int, flag: str) -> None:
        row = self.table.find(user)
        assert (row is None) == (user not in self.plain)
        if row is not None:
            self.table.set_role(row, role)
            self.table.set_read(row, seq)
            self.table.set_flag(row, flag)
            self.plain[user] = [role, self.plain[user][1], seq, flag]

    @rule(seq=st.integers(0, 2**32 - 1))
    def all_read(self, seq: int) -> None:
        self.table.set_all_read(seq)
        for values in self.plain.values():
            values[2] = seq

    @rule()
    def save_and_load(self) -> None:
        saved, self.table = self.table, MemberTable(self.table.next_serial)
        for columns in saved.columns(7):
            self.table.extend(columns["users"], columns)

    @invariant()
    def both_agree(self) -> None:
        table = self.table
        rows, following = table.page(0, len(table) + 1)
        assert following == 0
        assert [table.user(row) for row in rows] == list(self.plain)
        columns = [[table.role(row), table.joined(row), table.read(row), table.flag(row)] for row in rows]
        assert columns == list(self.plain.values())
        staff = [user for user, values in self.plain.items() if values[0] is not MemberRole.MEMBER]
        assert [table.user(row) for row in table.staff()] == staff


TableAndDict.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestTableAndDict = TableAndDict.TestCase


def filled(number: int) -> MemberTable:
    table = MemberTable()
    for index in range(number):
        table.add(f"reader_{index:07}", MemberRole.MEMBER, 1_770_000_000, 0)
    return table


def test_pages_are_complete_while_members_leave() -> None:
    table = filled(1_000)
    seen: list[str] = []
    start = 0
    while True:
        rows, start = table.page(start, 30)
        seen += [table.user(row) for row in rows]
        if not start:
            break
        for user in seen[-30::2]:
            table.remove(user)
    assert seen == [f"reader_{index:07}" for index in range(1_000)]


def test_cost_of_a_page_does_not_depend_on_the_number_of_members() -> None:
    def lines_of_a_page(number: int) -> int:
        table, lines = filled(number), 0

        def trace(_frame: Any, event: str, _argument: Any) -> Any:
            nonlocal lines
            lines += event == "line"
            return trace

        sys.settrace(trace)
        try:
            table.page(number // 2, 100)
        finally:
            sys.settrace(None)
        return lines

    assert lines_of_a_page(20_000) <= lines_of_a_page(1_000) + 5
