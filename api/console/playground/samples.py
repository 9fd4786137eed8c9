"""How a job is submitted from elsewhere, ready to paste; and the bases that hold the sample documents."""

import shlex
from collections.abc import Mapping
from pprint import pformat
from typing import Any

from core.kit.json_values import dumps
from core.knowledge import samples

# As the quickstart, and `waybill demo`, name them.
SAMPLE_BASES = ("handbook", samples.NAME)
_WIDTH = 100
_CHAT, _SEARCHES = "models.chat", {"knowledge.search": "query", "research.report": "question"}
# What an OpenAI client calls otherwise.
_RENAMED = {"max_output_tokens": "max_completion_tokens"}


def snippets(url: str, capability: str, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Commands and programs that submit this job to the API at `url`, by the name of what runs them."""
    found = [("curl", _curl(url, capability, given)), ("Python", _python(url, capability, given))]
    if capability == _CHAT:
        found.append(("openai", _openai_chat(url, given)))
    elif capability in _SEARCHES:
        found.append(("openai", _openai_search(url, capability, given)))
    return found


def _curl(url: str, capability: str, given: Mapping[str, Any]) -> str:
    body = dumps({"capability": capability, "input": given}).decode()
    return (
        f"curl -s {shlex.quote(url + '/v1/jobs')} \\\n"
        '  -H "Authorization: Bearer $WAYBILL_API_KEY" \\\n'
        "  -H 'Content-Type: application/json' -H 'Prefer: wait=30' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def _python(url: str, capability: str, given: Mapping[str, Any]) -> str:
    return (
        "import os\n\nfrom waybill.client import WaybillClient\n\n"
        f'client = WaybillClient({url!r}, os.environ["WAYBILL_API_KEY"])\n'
        f"job = client.jobs.submit({capability!r}, {_literal(given)})\n"
        "job.wait(timeout_seconds=120)\n"
        "print(job.raise_for_state().result, job.cost_usd)"
    )


def _openai_chat(url: str, given: Mapping[str, Any]) -> str:
    arguments = ",\n".join(f"    {_RENAMED.get(name, name)}={_literal(value)}" for name, value in given.items())
    call = f"answer = client.chat.completions.create(\n{arguments},\n)"
    return f"{_opened(url)}{call}\nprint(answer.choices[0].message.content)"


def _openai_search(url: str, capability: str, given: Mapping[str, Any]) -> str:
    base = given.get("knowledge_base")
    bases = [base] if base else list(given.get("knowledge_bases") or [])
    tools = [{"type": "file_search", "vector_store_ids": bases}]
    return (
        f"{_opened(url)}answer = client.responses.create(\n    model={capability!r},\n"
        f"    input={given.get(_SEARCHES[capability], '')!r},\n    tools={_literal(tools)},\n)\n"
        "print(answer.output_text)"
    )


def _opened(url: str) -> str:
    call = f'client = OpenAI(base_url={url + "/openai/v1"!r}, api_key=os.environ["WAYBILL_API_KEY"])'
    return f"import os\n\nfrom openai import OpenAI\n\n{call}\n"


def _literal(value: Any) -> str:
    return pformat(value, width=_WIDTH, sort_dicts=False).replace("\n", "\n    ")
