"""The web search services over real TLS sockets on the loopback interface."""

import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr, ValidationError

from core.kit.settings import Settings
from pipelines.research.web.choosing import open_web_search
from pipelines.research.web.search import WebHit, WebSearch, WebSearchFailed
from tests.factories.search_service import Asked, SearchService, search_service

LINES = [
    {
        "title": "Cover &amp; <b>claims</b>",
        "url": "https://a.example/1",
        "text": "It costs <em>1.2 %</em> &lt;now&gt;.",
    },
    {"title": "No text", "url": "https://a.example/2", "text": " "},
    {"title": "Script", "url": "javascript:alert(1)", "text": "Click."},
    {"title": "", "url": "http://b.example/3", "text": "Plain."},
    {"title": "Beyond the limit", "url": "https://a.example/4", "text": "Too many."},
]
HITS = [
    WebHit("Cover & claims", "https://a.example/1", "It costs 1.2 % <now>."),
    WebHit("http://b.example/3", "http://b.example/3", "Plain."),
]


def answer_as(provider: str) -> dict[str, Any]:
    if provider == "bing":
        lines = [{"name": line["title"], "url": line["url"], "snippet": line["text"]} for line in LINES]
        return {"webPages": {"value": lines}}
    return {"results": [{"title": line["title"], "url": line["url"], "content": line["text"]} for line in LINES]}


def opened(service: SearchService, provider: str, **more: Any) -> WebSearch:
    settings = Settings(
        web_search=provider,
        web_search_url=service.url,
        web_search_key=SecretStr("k3y"),
        **{"web_search_timeout_seconds": 5.0, **more},
    )
    found = open_web_search(settings, verify=service.trust or True)
    assert found is not None
    return found


@pytest.mark.parametrize("provider", ["searxng", "tavily", "bing"])
def test_results_come_back_as_plain_text(tmp_path: Path, provider: str) -> None:
    counted = {"server": "web_search", "tool": "search", "outcome": "done"}
    before = REGISTRY.get_sample_value("waybill_tool_calls_total", counted) or 0.0
    with search_service(tmp_path, lambda _: (200, answer_as(provider))) as service:
        web = opened(service, provider)
        assert web.search("cover & claims", 2) == HITS
        web.close()
    assert REGISTRY.get_sample_value("waybill_tool_calls_total", counted) == before + 1
    [asked] = service.asked
    assert asked.parameters["query" if provider == "tavily" else "q"] == "cover & claims"
    assert "k3y" in asked.headers["ocp-apim-subscription-key" if provider == "bing" else "authorization"]


@pytest.mark.parametrize("provider", ["searxng", "tavily", "bing"])
@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (302, b""),
        (200, b"<html>"),
        (200, []),
        (200, {"results": 5, "webPages": 5}),
        (200, b'"' + b"x" * (3 * 1024 * 1024) + b'"'),
    ],
    ids=["error", "redirect", "html", "list", "no-results", "too-large"],
)
def test_what_is_no_answer_is_one_failure(tmp_path: Path, provider: str, answer: tuple[int, Any]) -> None:
    with search_service(tmp_path, lambda _: answer) as service:
        web = opened(service, provider)
        with pytest.raises(WebSearchFailed):
            web.search("cover", 2)
        web.close()
    assert len(service.asked) == 1, "neither redirects nor tries"


def test_a_silent_service_is_given_up(tmp_path: Path) -> None:
    def sleep(_asked: Asked) -> tuple[int, Any]:
        time.sleep(0.6)
        return 200, answer_as("searxng")

    with search_service(tmp_path, sleep) as service:
        web = opened(service, "searxng", web_search_timeout_seconds=0.2)
        with pytest.raises(WebSearchFailed):
            web.search("cover", 2)
        web.close()


def test_a_certificate_that_no_one_vouches_for_is_refused(tmp_path: Path) -> None:
    with search_service(tmp_path, lambda _: (200, answer_as("searxng"))) as service:
        service.trust = None
        web = opened(service, "searxng")
        with pytest.raises(WebSearchFailed):
            web.search("cover", 2)
        web.close()
    assert service.asked == []


@pytest.mark.parametrize("url", ["http://search.example", "https://user:pass@search.example", "ftp://x", "search"])
def test_only_https_without_credentials_is_an_address(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        open_web_search(Settings(web_search="searxng", web_search_url=url))


def test_settings_that_do_not_fit_together_are_refused() -> None:
    assert open_web_search(Settings()) is None
    with pytest.raises(ValueError, match="WEB_SEARCH_URL"):
        open_web_search(Settings(web_search="bing", web_search_key=SecretStr("k")))
    with pytest.raises(ValueError, match="WEB_SEARCH_KEY"):
        open_web_search(Settings(web_search="tavily"))
    with pytest.raises(ValidationError):
        Settings(web_search="altavista")
