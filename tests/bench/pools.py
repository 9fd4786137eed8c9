"""Which kind of pool suits the knowledge capability, and how wide: searches a second and their time, by pool.

``python -m tests.bench pools``. The answers are made by the embedded models, so the work is Python and native code on
the machine's own cores; a capability that waits for a model elsewhere gains more from threads than this shows.
"""

import json
import sys
from time import perf_counter

import psutil
from sqlalchemy import text

from core.jobs.records import NewJob
from core.jobs.service import JobService
from core.kit.ids import KNOWLEDGE_BASE, encode
from tests.bench.rows import Row
from tests.bench.system import Systems
from tests.factories.knowledge import CORPUS, open_library
from tests.factories.processes import ROOT, running
from tests.factories.waiting import wait_until

_POOLS = (("threads", 1), ("threads", 2), ("threads", 4), ("threads", 8), ("prefork", 2))
_ROUNDS = 2


def run(systems: Systems) -> list[Row]:
    """Two rounds of the sample questions for every pool; a row for throughput, one for time, one for memory."""
    rows = []
    with open_library(systems.settings) as library:
        library.upload_files(CORPUS.iterdir())
        library.ingest()
        base = encode(KNOWLEDGE_BASE, library.base.id)
        lines = (ROOT / "samples" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
        questions = [json.loads(line)["question"] for line in lines] * _ROUNDS
        service = JobService(systems.settings, library.blobs)
        single = systems.database.single_tenant(library.principal.organization_id)

        def ask(question: str) -> None:
            asked = {"knowledge_base": base, "query": question, "mode": "answer"}
            new = NewJob(capability="knowledge.search", pool="knowledge", input=asked)
            service.submit(single, library.principal, new)

        def unfinished() -> int:
            with systems.database.system() as session:
                counted = session.execute(text("SELECT count(*) FROM jobs WHERE finished_at IS NULL"))
                return int(counted.scalar_one())

        for kind, width in _POOLS:
            with (
                running(
                    systems.settings, "workers", "dispatcher", until='"pool":"knowledge"', WAYBILL_LOG_LEVEL="info"
                ),
                running(systems.settings, "tests.bench.pools", kind, str(width), until="worker_ready") as worker,
            ):
                for question in questions[: 2 * width]:
                    ask(question)
                wait_until(lambda: unfinished() == 0, timeout_seconds=120, what="warm-up")
                with systems.database.engine.begin() as connection:
                    connection.execute(text("TRUNCATE jobs, job_events"))
                began = perf_counter()
                for question in questions:
                    ask(question)
                wait_until(lambda: unfinished() == 0, timeout_seconds=300, what="the searches")
                elapsed = perf_counter() - began
                family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
                memory = sum(process.memory_info().rss for process in family) / 1e6
                with systems.database.system() as session:
                    p95 = session.execute(
                        text(
                            "SELECT percentile_cont(0.95) WITHIN GROUP"
                            " (ORDER BY extract(epoch FROM finished_at - started_at)) FROM jobs"
                        )
                    ).scalar_one()
            name = f"knowledge_{kind}_{width}"
            rows += [
                Row(f"{name}_throughput", round(len(questions) / elapsed, 2), "searches/s"),
                Row(f"{name}_p95", round(float(p95) * 1000, 1), "ms"),
                Row(f"{name}_memory", round(memory, 0), "MB"),
            ]
    return rows


def _work(kind: str, width: int) -> int:
    from core.kit.settings import get_settings
    from workers import pools
    from workers.worker import main

    pools._POOLS["knowledge"] = pools.Pool("knowledge", kind, width)  # type: ignore[arg-type]
    return main(get_settings(), "knowledge", width)


if __name__ == "__main__":
    sys.exit(_work(sys.argv[1], int(sys.argv[2])))
