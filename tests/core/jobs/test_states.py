import re
from pathlib import Path

import infra.migrations.versions
from core.jobs.states import TERMINAL, TRANSITIONS, JobState, Priority, allowed_pairs
from tests.factories.processes import ROOT


def test_terminal_states_never_change() -> None:
    assert not {source for source, _ in allowed_pairs()} & TERMINAL


def test_every_state_can_be_reached_and_every_open_one_left() -> None:
    assert {rule.target for rule in TRANSITIONS} == set(JobState)
    assert {source for source, _ in allowed_pairs()} == set(JobState) - TERMINAL


def test_only_a_worker_holding_the_lease_ends_a_running_job_with_an_outcome() -> None:
    for rule in TRANSITIONS:
        if rule.by == "worker" and rule.sources == {JobState.RUNNING}:
            assert rule.fenced, rule.name


def test_the_database_guards_the_same_transitions() -> None:
    folder = Path(next(iter(infra.migrations.versions.__path__)))
    sql = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    guarded = re.findall(r"'(\w+)>(\w+)'", sql)
    assert {(source, target) for source, target in guarded} == {(str(a), str(b)) for a, b in allowed_pairs()}


def test_each_rule_starts_where_the_reference_says() -> None:
    """The trigger knows only pairs of states: a rule with one source too many could hide behind another rule's pair."""
    page = (ROOT / "docs/reference/jobs.md").read_text(encoding="utf-8")
    drawn = {
        (name, source, target)
        for source, target, names in re.findall(r"^    (\w+) --> (\w+): (.+)$", page, re.MULTILINE)
        for name in names.split(", ")
    }
    assert drawn == {(rule.name, str(source), str(rule.target)) for rule in TRANSITIONS for source in rule.sources}


def test_priorities_keep_their_rank() -> None:
    assert [Priority.of_rank(rank) for rank in range(3)] == [Priority.HIGH, Priority.NORMAL, Priority.LOW]
    assert [priority.rank for priority in Priority] == [0, 1, 2]
