"""The Bing Web Search API, version 7.

Microsoft retired its public service in August 2025; compatible gateways and services still use the format, so the
operator names the address.
"""

from pipelines.research.web.search import WebClient, WebHit, WebSearchFailed, read_hit


class Bing:
    """Implements `pipelines.research.web.search.WebSearch`."""

    name = "bing"

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def search(self, query: str, limit: int) -> list[WebHit]:
        """At most `limit` results. Raises `WebSearchFailed`."""
        answer = self._client.get(
            "/v7.0/search", {"q": query, "count": limit, "responseFilter": "Webpages", "safeSearch": "Moderate"}
        )
        if not isinstance(answer, dict):
            raise WebSearchFailed("the web search service did not answer with results")
        # A query without results has an answer without pages.
        pages = answer.get("webPages") or {"value": []}
        found = pages.get("value") if isinstance(pages, dict) else None
        if not isinstance(found, list):
            raise WebSearchFailed("the web search service did not answer with results")
        lines = [line for line in found if isinstance(line, dict)]
        hits = [read_hit(line.get("name"), line.get("url"), line.get("snippet")) for line in lines]
        return [hit for hit in hits if hit is not None][:limit]

    def close(self) -> None:
        """Release the connections."""
        self._client.close()
