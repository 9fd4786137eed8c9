"""Tavily, a search service made for models (https://docs.tavily.com/documentation/api-reference/endpoint/search)."""

from pipelines.research.web.search import WebClient, WebHit, read_hits


class Tavily:
    """Implements `pipelines.research.web.search.WebSearch`."""

    name = "tavily"

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def search(self, query: str, limit: int) -> list[WebHit]:
        """At most `limit` results. Raises `WebSearchFailed`."""
        # The service takes at most 400 characters.
        asked = {"query": query[:400], "max_results": limit, "search_depth": "basic", "include_answer": False}
        answer = self._client.post("/search", asked)
        found = answer.get("results") if isinstance(answer, dict) else None
        return read_hits(found, limit, "title", "content")

    def close(self) -> None:
        """Release the connections."""
        self._client.close()
