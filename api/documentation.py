"""``/docs``: Swagger UI, served entirely from this server. Its files come from the package ``fastapi-offline``."""

import asyncio
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request, Response

from api.routing import new_router, public
from core.kit.errors import NotFound
from core.kit.json_values import dumps

router = new_router("", "operations")

_TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.png": "image/png",
}
_START = b"""window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json", dom_id: "#ui", deepLinking: true, persistAuthorization: true, validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout", tryItOutEnabled: true,
  });
};
"""
_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Waybill API</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self'; style-src 'self' 'unsafe-inline'"
)
_CACHED = {"cache-control": "public, max-age=3600", "x-content-type-options": "nosniff"}


@router.get("/docs", include_in_schema=False)
@public
async def docs() -> Response:
    """The page."""
    return Response(_PAGE, media_type="text/html", headers={"content-security-policy": _POLICY})


@router.get("/docs/{name}", include_in_schema=False)
@public
async def docs_file(name: str) -> Response:
    """A file of the page."""
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers=_CACHED)
    media_type = _TYPES.get(name)
    if media_type is None:
        raise NotFound("there is no such file; the documentation is at /docs", code="route_not_found")
    return Response(_file(name), media_type=media_type, headers=_CACHED)


@router.get("/openapi.json", include_in_schema=False)
@public
async def openapi_document(request: Request) -> Response:
    """The OpenAPI document. Building it takes seconds, so it is built once, off the event loop."""
    state = request.app.state
    async with state.making_document:
        if state.document is None:
            state.document = await asyncio.to_thread(_document, request.app)
    return Response(state.document, media_type="application/json", headers=_CACHED)


def _document(app: FastAPI) -> bytes:
    return dumps(app.openapi())


@lru_cache(maxsize=len(_TYPES))
def _file(name: str) -> bytes:
    # Found, not imported: importing the package would load an application class that Waybill does not use.
    package = find_spec("fastapi_offline")
    assert package is not None
    assert package.origin is not None
    return (Path(package.origin).parent / "static" / name).read_bytes()
