"""What jobs and questions are in SQL: the words of the partial indexes, so that the planner matches the statements.

Apart from the models, which only Alembic needs and which take their time to import.
"""

DUE = "state = 'queued' AND dispatched_at IS NULL"
IN_FLIGHT = "state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL)"
ACTIVE = "state IN ('queued', 'running', 'waiting')"
OPEN_QUESTION = "answered_at IS NULL AND timed_out_at IS NULL"
