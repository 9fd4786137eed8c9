"""Opens the web search service that the settings name."""

import ssl

from core.kit.settings import Settings
from pipelines.research.web.bing import Bing
from pipelines.research.web.search import WebClient, WebSearch
from pipelines.research.web.searxng import SearXNG
from pipelines.research.web.tavily import Tavily

_TAVILY = "https://api.tavily.com"


def open_web_search(settings: Settings, *, verify: ssl.SSLContext | bool = True) -> WebSearch | None:
    """The service, or None when web search is off. Raises ValueError when its settings do not fit together.

    `verify` is how its certificate is checked.
    """
    provider = settings.web_search
    if provider is None:
        return None
    key = settings.web_search_key.get_secret_value() if settings.web_search_key else None
    url = settings.web_search_url or (_TAVILY if provider == "tavily" else None)
    if url is None:
        raise ValueError(f"WAYBILL_WEB_SEARCH={provider} needs WAYBILL_WEB_SEARCH_URL")
    if key is None and provider != "searxng":
        raise ValueError(f"WAYBILL_WEB_SEARCH={provider} needs WAYBILL_WEB_SEARCH_KEY")
    header = {"bing": "Ocp-Apim-Subscription-Key"}.get(provider, "Authorization")
    value = key if provider == "bing" else f"Bearer {key}"
    headers = {header: value} if key is not None and value is not None else {}
    client = WebClient(url, timeout_seconds=settings.web_search_timeout_seconds, headers=headers, verify=verify)
    match provider:
        case "searxng":
            return SearXNG(client)
        case "tavily":
            return Tavily(client)
        case "bing":
            return Bing(client)
