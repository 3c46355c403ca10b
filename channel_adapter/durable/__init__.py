"""Jobs that survive the process that runs them: DBOS workflows in the app's own database. The only importer of DBOS."""

from channel_adapter.durable.jobs import Jobs, Kind, State, open_jobs
from channel_adapter.durable.worker import Job, NotRecordedError

__all__ = ["Job", "Jobs", "Kind", "NotRecordedError", "State", "open_jobs"]
