"""``/.well-known/jwks.json``: the public keys to verify seals and waybills."""

from fastapi import Request, Response
from pydantic import BaseModel

from api.answers import respond_json
from api.deps import get_runtime
from api.openapi import problems
from api.routing import new_router, public

router = new_router("/.well-known", "audit")


class PublicKey(BaseModel):
    """An Ed25519 key as a JSON Web Key (RFC 8037)."""

    kty: str
    crv: str
    alg: str
    use: str
    kid: str
    x: str


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517): the current signing key and earlier ones."""

    keys: list[PublicKey]


@router.get(
    "/jwks.json",
    response_model=KeySet,
    summary="Read the public keys",
    responses={200: {"description": "The public keys."}, **problems(scope=False)},
)
@public
async def read_keys(request: Request) -> Response:
    """Read the public keys."""
    return respond_json(get_runtime(request).keyring.to_jwks(), headers={"cache-control": "public, max-age=300"})
