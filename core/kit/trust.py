"""The certificate authorities that clients trust, loaded once per process: loading takes longer than many a call."""

import ssl
from functools import lru_cache

import httpx


@lru_cache(maxsize=2)
def authorities(*, by_environment: bool) -> ssl.SSLContext:
    """The default trust of httpx, shared by clients; with `by_environment` also what ``SSL_CERT_FILE`` names."""
    return httpx.create_ssl_context(trust_env=by_environment)
