"""``python -m tests.evals.tau``: tau-bench's retail domain through `agent.run`; exit code 1 below the mark.

A scripted model plays the expected actions, which must earn everything through tool box, consent and approvals; one
that does nothing earns the floor, and one that acts without having asked changes nothing. ``tau`` in the folder of
``--data`` may hold the repository's own ``users.json``, ``orders.json``, ``products.json``, ``tasks.json`` and
``wiki.md``.
"""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from core.kit.migrate import upgrade
from core.kit.settings import Settings
from tests.evals.scores import Row, publish
from tests.evals.tau.adapter import Bench, expected_actions, floor, nothing, read_tasks, unchanged, without_asking
from tests.evals.tau.retail import OURS, Retail
from tests.evals.tau.serving import serve
from tests.factories.jobs import new_tenant
from waybill.stack.postgres import EmbeddedPostgres
from waybill.stack.valkey import EmbeddedValkey


def main() -> int:
    """Run every task with each model, and print the rewards."""
    given = Path(os.environ.get("WAYBILL_EVALS_DATA", "/nonexistent")) / "tau"
    folder, policy = (given, given / "wiki.md") if given.is_dir() else (OURS, Path(__file__).with_name("policy.md"))
    retail, tasks = Retail(folder), read_tasks(folder)
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory()))
        postgres, valkey = EmbeddedPostgres(home / "postgres"), EmbeddedValkey(home / "valkey")
        for server in (postgres, valkey):
            server.start()
            stack.callback(server.stop)
        upgrade(postgres.url)
        settings = Settings(home=home, database_url=SecretStr(postgres.url), redis_url=SecretStr(valkey.url))
        tenant = new_tenant(settings)
        stack.callback(tenant.close)
        principal = tenant.principal
        bench = Bench(
            retail,
            stack.enter_context(serve(retail)),
            policy.read_text(encoding="utf-8"),
            tenant.database,
            principal.organization_id,
            principal.project_id,
        )
        models = {"expected actions": expected_actions, "nothing": nothing, "acts unasked": without_asking}
        marks = {"expected actions": 1.0, "nothing": floor(tasks), "acts unasked": unchanged(tasks)}
        missed = False
        rows: list[Row] = []
        for name, model in models.items():
            rewards = [bench.reward(task, model(task))[0] for task in tasks]
            score, mark = sum(rewards) / len(rewards), marks[name]
            relation = ">=" if name == "expected actions" else "="
            sys.stdout.write(f"{name:<18}n {len(rewards):<5}reward {score:.3f}  ({relation} {mark:.3f})\n")
            rows.append(Row("tau-bench retail, our tasks", "looked at", name, len(rewards), score, mark=mark))
            missed = missed or (score < mark if name == "expected actions" else score > mark)
    publish("tau", rows)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
