"""Every route of the API, in one list."""

from fastapi import APIRouter

from api import documentation, health, keyset
from api.audit import routes as audit
from api.backtests import routes as backtests
from api.batches import results as batch_results
from api.batches import routes as batches
from api.budgets import alerts
from api.budgets import forecast as budget_forecast
from api.budgets import routes as budgets
from api.capabilities import routes as capabilities
from api.costs import anomalies as cost_anomalies
from api.costs import routes as costs
from api.experiments import results as experiment_results
from api.experiments import routes as experiments
from api.files import routes as files
from api.files import uploads as file_uploads
from api.guard import erasures as guard_erasures
from api.guard import reviews as guard_reviews
from api.guard import routes as guard
from api.guard import screening as guard_screening
from api.jobs import artifacts, corrections
from api.jobs import cost as job_cost
from api.jobs import feedback as job_feedback
from api.jobs import questions as job_questions
from api.jobs import routes as jobs
from api.jobs import tree as job_tree
from api.jobs import waybill as job_waybill
from api.keys import routes as keys
from api.knowledge_bases import documents
from api.knowledge_bases import routes as knowledge_bases
from api.limits import routes as limits
from api.members import routes as members
from api.metrics import routes as metrics
from api.models import aliases, stages
from api.models import routes as models
from api.openai import completions as openai_completions
from api.openai import embeddings as openai_embeddings
from api.openai import files as openai_files
from api.openai import models as openai_models
from api.openai.batches import routes as openai_batches
from api.openai.chat import routes as openai_chat
from api.openai.responses import routes as openai_responses
from api.organization import routes as organization
from api.prices import routes as prices
from api.project_events import routes as project_events
from api.projects import routes as projects
from api.prompts import routes as prompts
from api.quality import alerts as quality_alerts
from api.quality import annotations as quality_annotations
from api.quality import gates as quality_gates
from api.quality import routes as quality
from api.quotes import routes as quotes
from api.retention import routes as retention
from api.usage import routes as usage
from api.webhook_endpoints import deliveries as webhook_deliveries
from api.webhook_endpoints import routes as webhook_endpoints
from api.webhook_endpoints import secret as webhook_secret

ROUTERS: tuple[APIRouter, ...] = (
    jobs.router,
    job_cost.router,
    corrections.router,
    job_waybill.router,
    artifacts.router,
    job_feedback.router,
    job_questions.router,
    job_tree.router,
    batches.router,
    batch_results.router,
    project_events.router,
    files.router,
    file_uploads.router,
    knowledge_bases.router,
    documents.router,
    capabilities.router,
    organization.router,
    projects.router,
    members.router,
    keys.router,
    budgets.router,
    alerts.router,
    budget_forecast.router,
    limits.router,
    retention.router,
    guard.router,
    guard_screening.router,
    guard_reviews.router,
    guard_erasures.router,
    prices.router,
    models.router,
    stages.router,
    aliases.router,
    models.deployments_router,
    prompts.router,
    experiments.router,
    experiment_results.router,
    quality.router,
    quality_alerts.router,
    quality_annotations.router,
    quality_gates.router,
    webhook_endpoints.router,
    webhook_deliveries.router,
    webhook_secret.router,
    metrics.router,
    usage.router,
    costs.router,
    cost_anomalies.router,
    quotes.router,
    backtests.router,
    audit.router,
    openai_chat.router,
    openai_completions.router,
    openai_responses.router,
    openai_embeddings.router,
    openai_models.router,
    openai_files.router,
    openai_batches.router,
    keyset.router,
    health.router,
    documentation.router,
)
