"""The only task of the job pools."""

from uuid import UUID

from workers.app import TASK, app
from workers.execute import execute
from workers.runtime import get_runtime


@app.task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def run_job(job_id: str) -> None:
    """Run one attempt of the job. The message carries only its id."""
    execute(get_runtime(), UUID(job_id))
