"""Signals of quality, over time and by version, and alerts about them."""

from datetime import datetime
from typing import Any

from waybill.client.models.base import Resource


class QualitySummary(Resource):
    """One signal of one group of jobs; an end of the interval is None while there is no bound."""

    capability: str
    signal: str
    kind: str
    worse: str
    unit: str
    model_version: str | None
    model: str | None
    version: int | None
    prompt_version: str | None
    project_id: str | None
    estimate: float
    low: float | None
    high: float | None
    jobs: int


class QualityReport(Resource):
    """Signals of the jobs that ended within a window."""

    begins: datetime
    ends: datetime
    data: list[QualitySummary]


class QualityPoint(Resource):
    """A signal over the jobs that ended within an hour or day."""

    start: datetime
    estimate: float
    low: float | None
    high: float | None
    jobs: int


class QualityLine(Resource):
    """One signal of one group of jobs, over time."""

    capability: str
    signal: str
    kind: str
    worse: str
    unit: str
    model_version: str | None
    model: str | None
    version: int | None
    prompt_version: str | None
    project_id: str | None
    points: list[QualityPoint]


class QualitySeries(Resource):
    """Series of a window."""

    begins: datetime
    ends: datetime
    step: str
    data: list[QualityLine]


class QualityLevel(Resource):
    """What a signal was like; `model_version` is given of a baseline."""

    mean: float | None
    jobs: int
    model_version: str | None = None


class QualityAlert(Resource):
    """That a signal of a version changed, with at most ten jobs that moved."""

    id: str
    capability: str
    model_version: str
    model: str | None
    version: int | None
    signal: str
    direction: str
    is_worse: bool
    state: str
    baseline: QualityLevel
    observed: QualityLevel
    evidence: float
    threshold: float
    began_at: datetime
    raised_at: datetime
    job_ids: list[str]
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    closed_by: str | None = None
    closed_at: datetime | None = None
    reason: str | None = None


class ChosenJobs(Resource):
    """Jobs that are new in the annotation queue."""

    job_ids: list[str]


class Annotation(Resource):
    """A job in the annotation queue."""

    job_id: str
    capability: str
    how: str
    labels_wanted: int
    labels: int
    created_at: datetime


class AnnotationCase(Annotation):
    """A job in the annotation queue with what its label is about; None for what retention has taken away."""

    input: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


class Label(Resource):
    """A person's feedback on a result."""

    job_id: str
    labeler: str
    is_judge: bool = False
    verdict: str
    expected: dict[str, Any] | None = None
    note: str | None = None
    labeled_at: datetime


class Agreement(Resource):
    """How far two labelers agree; `kappa` is None when both said the same of everything."""

    labelers: list[str]
    jobs: int
    share: float
    kappa: float | None
    low: float | None
    high: float | None


class QualityRun(Resource):
    """What came of running a data set at one model version."""

    id: str
    batch_id: str
    dataset: str
    dataset_digest: str
    model_version: str
    cases: int
    checked: int
    passed: int
    recorded_by: str | None = None
    recorded_at: datetime


class QualityGate(Resource):
    """What the last run of a version must show before the version is promoted."""

    model_id: str
    dataset: str
    min_share: float
    min_cases: int
    set_by: str | None = None
    set_at: datetime
