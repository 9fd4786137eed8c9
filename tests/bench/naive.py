"""The application a competent engineer writes in a day, as the baseline: one ORM insert, ``delay()``, one update.

It keeps no lease, no events and no limits, checks no key and forgets a job whenever Redis does.
"""

import os
import uuid
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import DateTime, create_engine, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

QUEUE = "naive"


class Base(DeclarativeBase):
    """The baseline's tables."""


class NaiveJob(Base):
    """A row per job."""

    __tablename__ = "naive_jobs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    capability: Mapped[str]
    status: Mapped[str] = mapped_column(default="queued", index=True)
    input: Mapped[dict[str, Any]] = mapped_column(JSONB)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Submission(BaseModel):
    """What a client posts."""

    capability: str
    input: dict[str, Any]


url = os.environ.get("DATABASE_URL", "postgresql://localhost/unset").replace("postgresql://", "postgresql+psycopg://")
engine = create_engine(url, pool_size=16, max_overflow=8)
sessions = sessionmaker(engine)
celery = Celery("naive", broker=os.environ.get("REDIS_URL", "redis://localhost/0"))
celery.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    task_default_queue=QUEUE,
    broker_connection_retry_on_startup=True,
)
app = FastAPI()


@celery.task(name="naive.run")  # type: ignore[untyped-decorator]
def run(job_id: str) -> None:
    """Load the row, do nothing, update it."""
    with sessions() as session:
        job = session.get(NaiveJob, uuid.UUID(job_id))
        assert job is not None
        job.started_at = datetime.now(UTC)
        job.status, job.result, job.finished_at = "succeeded", {"said": ""}, datetime.now(UTC)
        session.commit()


@app.post("/v1/jobs", status_code=202)
def submit(submission: Submission) -> dict[str, Any]:
    """Insert the row, push the task."""
    with sessions() as session:
        job = NaiveJob(capability=submission.capability, input=submission.input)
        session.add(job)
        session.commit()
        run.delay(str(job.id))
        return {"id": str(job.id), "status": job.status, "created_at": job.created_at.isoformat()}


def prepare() -> None:
    """Create the table."""
    Base.metadata.create_all(engine)


def unfinished(session: Session) -> int:
    """How many jobs have not ended."""
    return int(session.execute(text("SELECT count(*) FROM naive_jobs WHERE finished_at IS NULL")).scalar_one())
