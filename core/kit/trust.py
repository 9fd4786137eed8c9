"""The certificate authorities that clients trust, read once a process: it takes longer than many a call."""

import ssl
from functools import lru_cache

import httpx


@lru_cache(maxsize=2)
def authorities(*, by_environment: bool) -> ssl.SSLContext:
    """What httpx trusts by itself, to be shared by clients; with `by_environment` also what ``SSL_CERT_FILE`` names."""
    return httpx.create_ssl_context(trust_env=by_environment)
