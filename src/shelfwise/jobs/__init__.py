"""Work that takes longer than a request: queued in the database, done by workers, never lost.

`shelfwise.jobs.queue` asks for it, `shelfwise.jobs.worker` takes it up, and
`shelfwise.jobs.work` does it in a process of `shelfwise.jobs.processes`.
"""
