"""Conditions on jobs and questions in SQL, worded as in the partial indexes, so that the planner can use those.

Separate from the models, which only Alembic needs and which are slow to import.
"""

DUE = "state = 'queued' AND dispatched_at IS NULL"
IN_FLIGHT = "state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL)"
ACTIVE = "state IN ('queued', 'running', 'waiting')"
FAILED = "state IN ('failed', 'expired', 'rejected')"
ENDED_EVENT = "type IN ('job.succeeded', 'job.failed', 'job.cancelled', 'job.expired', 'job.rejected')"
OPEN_QUESTION = "answered_at IS NULL AND timed_out_at IS NULL"

# The state in a statement that names its jobs by id. The cast keeps such a statement off the partial indexes: without
# statistics the planner assumes that those are nearly empty, and would scan every due or in-flight row for one job.
STATE_OF_NAMED = "CAST(jobs.state AS text)"
