"""``/console/static``: scripts, styles and the icon."""

from fastapi import Response

from api.console.assets import assets
from api.console.routing import new_router, public
from api.console.security import HEADERS
from core.kit.errors import NotFound

router = new_router("/static")

_FOR_GOOD = {**HEADERS, "cache-control": "public, max-age=31536000, immutable"}


@router.get("/{digest}/{name:path}")
@public
async def static_file(digest: str, name: str) -> Response:
    """A file, at the address that pages have for it and at no other."""
    found = assets().get(name)
    if found is None or digest != found.digest[:16]:
        raise NotFound("there is no such file; reload the page", code="route_not_found")
    return Response(found.content, media_type=found.media_type, headers=_FOR_GOOD)
