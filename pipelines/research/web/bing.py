"""The Bing Web Search API, version 7.

Microsoft retired its public service in August 2025; compatible gateways and services still use the format, so the
operator names the address.
"""

from pipelines.research.web.search import WebClient, WebHit, WebSearchFailed, read_hits


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
        return read_hits(found, limit, "name", "snippet")

    def close(self) -> None:
        """Release the connections."""
        self._client.close()
