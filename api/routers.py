"""Every route of the API, in one list."""

from fastapi import APIRouter

from api import documentation, health
from api.capabilities import routes as capabilities
from api.jobs import routes as jobs

ROUTERS: tuple[APIRouter, ...] = (
    jobs.router,
    capabilities.router,
    health.router,
    documentation.router,
)
