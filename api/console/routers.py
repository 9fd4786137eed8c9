"""Every page of the console, in one list. The fallback comes last."""

from fastapi import APIRouter

from api.console import account, sign_in, single_sign_on, static_files
from api.console.admin import audit, guard, installation, keys, limits, organization, webhooks
from api.console.approvals import routes as approvals
from api.console.jobs import comparison
from api.console.jobs import one as job
from api.console.jobs import routes as jobs
from api.console.jobs import views as saved_views
from api.console.knowledge import routes as knowledge
from api.console.money import budgets, prices, spending, statements
from api.console.overview import routes as overview
from api.console.playground import routes as playground
from api.console.quality import experiments, labels, runs, signals

ROUTERS: tuple[APIRouter, ...] = (
    static_files.router,
    sign_in.router,
    single_sign_on.router,
    account.router,
    jobs.router,
    saved_views.router,
    job.router,
    comparison.router,
    approvals.router,
    knowledge.router,
    playground.router,
    organization.router,
    keys.router,
    limits.router,
    guard.router,
    webhooks.router,
    audit.router,
    installation.router,
    overview.router,
    spending.router,
    budgets.router,
    statements.router,
    prices.router,
    signals.router,
    labels.router,
    runs.router,
    experiments.router,
    account.fallback,
)
