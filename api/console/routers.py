"""Every page of the console, in one list. The fallback comes last."""

from fastapi import APIRouter

from api.console import account, sign_in, static_files

ROUTERS: tuple[APIRouter, ...] = (
    static_files.router,
    sign_in.router,
    account.router,
    account.fallback,
)
