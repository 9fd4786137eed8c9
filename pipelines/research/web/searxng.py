"""SearXNG, the self-hosted metasearch engine.

Its JSON format has to be allowed in the instance's ``settings.yml``
(https://docs.searxng.org/dev/search_api.html).
"""

from pipelines.research.web.search import WebClient, WebHit, WebSearchFailed, read_hit


class SearXNG:
    """Implements `pipelines.research.web.search.WebSearch`."""

    name = "searxng"

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def search(self, query: str, limit: int) -> list[WebHit]:
        """At most `limit` results. Raises `WebSearchFailed`."""
        answer = self._client.get("/search", {"q": query, "format": "json", "safesearch": 1})
        found = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise WebSearchFailed("the web search service did not answer with results")
        lines = [line for line in found if isinstance(line, dict)]
        hits = [read_hit(line.get("title"), line.get("url"), line.get("content")) for line in lines]
        return [hit for hit in hits if hit is not None][:limit]

    def close(self) -> None:
        """Release the connections."""
        self._client.close()
