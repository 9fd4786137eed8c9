"""SearXNG, the self-hosted metasearch engine.

Its JSON format has to be allowed in the instance's ``settings.yml``
(https://docs.searxng.org/dev/search_api.html).
"""

from pipelines.research.web.search import WebClient, WebHit, read_hits


class SearXNG:
    """Implements `pipelines.research.web.search.WebSearch`."""

    name = "searxng"

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def search(self, query: str, limit: int) -> list[WebHit]:
        """At most `limit` results. Raises `WebSearchFailed`."""
        answer = self._client.get("/search", {"q": query, "format": "json", "safesearch": 1})
        found = answer.get("results") if isinstance(answer, dict) else None
        return read_hits(found, limit, "title", "content")

    def close(self) -> None:
        """Release the connections."""
        self._client.close()
