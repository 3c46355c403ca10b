"""Moves official accounts, or files of any other system, to channels: planned, resumable, verifiable, reversible.

    sources/   where channels come from: official accounts, or files. Read-only, paged, bounded memory
    plan/      what moves where, what does not fit and what is done about it, what it costs; plan.json
    run/       apply a plan: jobs of channels, their steps, the journal, the quarantine
    verify/    read both sides again and compare them
    cutover/   last delta and verification, then posting moves; conversation groups; redirects of accounts
    rollback   list what came from the source and nothing else, and remove it
    report     the journal, the last verification and the cutover, as Markdown and JSON

A plan is the contract between the commands: it names app, migration, source, resolutions, and for every channel the
source as it was read and the target as it shall be. It holds no posts and no subscribers; these are read again when
they are moved, and what happened in the source in between is moved by the next run.

A migration has an id, derived from app and source ids unless it is named. It stands in the tag of every channel it
creates (`mapping.tag`), in every dedupe number of a post (`plan.transform.post_random`) and in every row of the
journal: a repeated step, a rollback and a third party are recognised by it.
"""
