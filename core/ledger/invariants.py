"""Invariants of money, as queries that return their violations; run on a schedule and by the tests."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.ledger.records import Violation

_INVARIANTS = {
    "reserved is the sum of what open reservations hold": """
        SELECT balance.id, coalesce(sum(held.held_usd), 0) AS expected, balance.reserved_usd AS found
        FROM budget_balances AS balance
        LEFT JOIN (SELECT unnest(balance_ids) AS balance_id, held_usd FROM reservations) AS held
          ON held.balance_id = balance.id
        GROUP BY balance.id HAVING coalesce(sum(held.held_usd), 0) <> balance.reserved_usd""",
    "spent is the sum of the ledger": """
        SELECT balance.id, coalesce(sum(line.amount_usd), 0) AS expected, balance.spent_usd AS found
        FROM budget_balances AS balance
        LEFT JOIN (
          SELECT unnest(balance_ids) AS balance_id, amount_usd FROM ledger_entries
          UNION ALL SELECT balance_id, amount_usd FROM ledger_carried
        ) AS line
          ON line.balance_id = balance.id
        GROUP BY balance.id HAVING coalesce(sum(line.amount_usd), 0) <> balance.spent_usd""",
    "committed is the sum of the open calls": """
        SELECT root_job_id, coalesce(sum(bound_usd), 0) AS expected, committed_usd AS found
        FROM reservations LEFT JOIN open_calls USING (root_job_id)
        GROUP BY root_job_id, committed_usd HAVING coalesce(sum(bound_usd), 0) <> committed_usd""",
    "every settlement has its intent": """
        SELECT job_id, 1 AS expected, 0 AS found FROM ledger_entries AS line
        WHERE entry = 1 AND NOT EXISTS (SELECT FROM ledger_entries AS intent
          WHERE intent.job_id = line.job_id AND intent.attempt = line.attempt AND intent.call = line.call
            AND intent.entry = 0)""",
    "every intent is open or settled": """
        SELECT job_id, 1 AS expected, 0 AS found FROM ledger_entries AS line
        WHERE entry = 0
          AND NOT EXISTS (SELECT FROM ledger_entries AS settled
            WHERE settled.job_id = line.job_id AND settled.attempt = line.attempt AND settled.call = line.call
              AND settled.entry = 1)
          AND NOT EXISTS (SELECT FROM open_calls
            WHERE open_calls.job_id = line.job_id AND open_calls.attempt = line.attempt AND open_calls.call = line.call)
        """,
    "every line belongs to an attempt of a job": """
        SELECT line.job_id, line.attempt AS expected, jobs.attempt AS found
        FROM ledger_entries AS line LEFT JOIN jobs ON jobs.id = line.job_id
        WHERE line.attempt > jobs.attempt
          OR jobs.id IS NULL AND to_regclass(
            'jobs_' || to_char(uuid_extract_timestamp(line.job_id) AT TIME ZONE 'UTC', 'YYYYMM')) IS NOT NULL""",
    "a job's cost is the sum of its lines": """
        SELECT jobs.id, coalesce(sum(line.amount_usd), 0) AS expected, jobs.cost_usd AS found
        FROM jobs LEFT JOIN ledger_entries AS line ON line.job_id = jobs.id
        WHERE jobs.id >= coalesce((SELECT max(until_id::text)::uuid FROM ledger_retired), uuid7_floor('epoch'))
        GROUP BY jobs.id, jobs.cost_usd HAVING coalesce(sum(line.amount_usd), 0) <> jobs.cost_usd""",
    "an ended job holds nothing": """
        SELECT root_job_id, 0 AS expected, held_usd AS found
        FROM reservations JOIN jobs ON jobs.id = root_job_id WHERE jobs.finished_at IS NOT NULL""",
}


def check_invariants(session: Session) -> list[Violation]:
    """Every violation, across organizations; an empty list when there is none. Reads the whole ledger."""
    return [
        Violation(name, row[0], row.expected, row.found, is_of_balance="FROM budget_balances" in query)
        for name, query in _INVARIANTS.items()
        for row in session.execute(text(query))
    ]
