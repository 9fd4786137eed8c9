"""``/.well-known/jwks.json``: the public keys by which seals and waybills are checked."""

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
    """A JSON Web Key Set (RFC 7517): the key that signs now, and those that did before."""

    keys: list[PublicKey]


@router.get(
    "/jwks.json",
    response_model=KeySet,
    summary="Read the public keys",
    responses={200: {"description": "The keys."}, **problems(scope=False)},
)
@public
async def read_keys(request: Request) -> Response:
    """The key set."""
    return respond_json(get_runtime(request).keyring.to_jwks(), headers={"cache-control": "public, max-age=300"})
