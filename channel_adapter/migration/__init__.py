"""Moves official accounts, or files of any other system, to channels: planned, resumable, verifiable, reversible.

    sources/   where channels come from: official accounts, or files. Read-only, paged, nothing held whole in memory
    records    what a source gives: SourceChannel, SourcePost, SourceSubscriber. Times are unix seconds
    policies   what may not fit (`Loss`), and what is done about it: refuse, store, cut
    transform  pure: one source value -> one wire request of the target. Plan, apply, delta and verify all call it
    inventory  what a plan is made of, counted while it is read; `target` looks at what stands on the other side
    plan       the values of a plan; `make_plan` makes one of an inventory, pure; `calls` says what it costs
    plan_file  plan.json, the same bytes for the same plan; `quarantine_file` keeps what cannot go
    planning   ties these together: `adapter.migration.plan(...)` and `migrate plan`
    verify     both sides read afresh: `compare` is pure, `findings` are its marks, `ledger` keeps one channel on disk
    rollback   lists what came from the source and nothing else, and then removes it
    cutover    delta, verification, then posting moves; `posting_moved` is what publishing and the guard know of it
    report     the journal, the last verdict and the cutover, as Markdown and JSON

A plan is the contract between the commands: it names app, migration, source, policies, and for every channel the source
as it was read and the target as it shall be. It holds no posts and no subscribers; these are read again when they are
moved, and whatever happened at the source in between is moved by the next run.

A migration has an id, drawn from app and source ids unless it is named. It stands in the tag of every channel it makes
(`mapping.tag`), in every dedupe number of a post (`transform.post_random`) and in every row of the journal: that is how
a repeated step, a rollback and a stranger tell what is ours.
"""
