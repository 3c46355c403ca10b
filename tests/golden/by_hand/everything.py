"""All exchanges written by hand."""

from tests.golden.by_hand import (
    Exchanges,
    accounts,
    contact_groups,
    extensions,
    groups,
    members,
    messages,
    official_accounts,
    one_to_one,
    other_groups,
    sending,
)

EXCHANGES: Exchanges = {
    **groups.EXCHANGES,
    **members.EXCHANGES,
    **sending.EXCHANGES,
    **messages.EXCHANGES,
    **extensions.EXCHANGES,
    **contact_groups.EXCHANGES,
    **official_accounts.EXCHANGES,
    **one_to_one.EXCHANGES,
    **accounts.EXCHANGES,
    **other_groups.EXCHANGES,
}
