"""What an MCP server answers is mended and kept; what has no form in JSON stays as its text."""

import json
from typing import Any

import ormsgpack
import pytest
from mcp.types import CallToolResult, TextContent

from core.kit.json_values import dumps
from pipelines._kit.tools.client import ToolRefusal, _read_answer
from pipelines._kit.tools.policies import ToolServer

SERVER = ToolServer.__new__(ToolServer)


def read(text: str, *, is_error: bool = False, structured: dict[str, Any] | None = None) -> dict[str, Any]:
    content = [TextContent(type="text", text=text)]
    return _read_answer(SERVER, CallToolResult(content=content, isError=is_error, structuredContent=structured))


@pytest.mark.survive("F2")
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (json.dumps({"name": "An\x00na"}), {"name": "Anna"}),
        ('{"name":"An\\ud83dna"}', {"name": "An\ufffdna"}),
        ('{"id":123456789012345678901234567890}', {"id": "123456789012345678901234567890"}),
        ('{"n":6.02214076e23}', {"n": 6.02214076e23}),
        ('{"name":NaN}', {"text": '{"name":NaN}'}),
        ("null", {"value": None}),
        ("<html>\x00", {"text": "<html>"}),
        ("[" * 3000 + "]" * 3000, {"text": "[" * 3000 + "]" * 3000}),
    ],
)  # fmt: skip
def test_an_answer_can_be_stored_whatever_it_holds(text: str, kept: dict[str, Any]) -> None:
    assert read(text) == kept
    assert read("", structured=kept) == kept
    dumps(kept)
    # What a graph keeps of it between two steps.
    ormsgpack.packb(kept)


def test_structured_content_that_is_not_json_stays_as_its_text() -> None:
    assert read("it is nan", structured={"n": float("nan")}) == {"text": "it is nan"}


def test_a_refusal_is_mended() -> None:
    with pytest.raises(ToolRefusal) as refused:
        read(json.dumps({"code": "cu\x00st", "message": "no \x00 such"}), is_error=True)
    assert (refused.value.code, refused.value.message) == ("cust", "no  such")
