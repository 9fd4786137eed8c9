"""Every prompt of a capability passes the registry: a version, an organisation or an experiment may change it."""

import ast
from pathlib import Path

PIPELINES = Path(__file__).parents[2] / "pipelines"


def test_no_capability_reads_its_prompts_past_the_registry() -> None:
    past = [
        f"{path.relative_to(PIPELINES)}:{node.lineno}"
        for path in PIPELINES.rglob("*.py")
        if path != PIPELINES / "_kit" / "prompts.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.Attribute | ast.alias)
        and "load_prompt" in {getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "name", None)}
    ]
    assert past == [], "take it through pipelines._kit.prompts.choose_prompt"
