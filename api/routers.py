"""Every route of the API, in one list."""

from fastapi import APIRouter

from api import documentation, health
from api.capabilities import routes as capabilities
from api.costs import routes as costs
from api.jobs import routes as jobs
from api.knowledge_bases import documents
from api.knowledge_bases import routes as knowledge_bases
from api.prices import routes as prices
from api.usage import routes as usage

ROUTERS: tuple[APIRouter, ...] = (
    jobs.router,
    knowledge_bases.router,
    documents.router,
    capabilities.router,
    prices.router,
    usage.router,
    costs.router,
    health.router,
    documentation.router,
)
