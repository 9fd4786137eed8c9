"""Which model a deployment's name stands for."""

import pytest

from core.ledger.prices.aliases import known_as


@pytest.mark.parametrize(
    ("provider", "model", "known"),
    [
        ("openai", "gpt-4o-2024-08-06", ("openai", "gpt-4o")),
        ("openai", "gpt-4o", None),
        ("azure", "gpt-4o-2024-08-06", ("azure", "gpt-4o")),
        ("azure", "claims-gpt4o-mini-prod", ("azure", "gpt-4o-mini")),
        ("azure", "Prod_GPT-4o", ("azure", "gpt-4o")),
        ("azure", "demo1", None),
        ("azure", "production", None),
        ("openai-compatible", "gpt-4o-mini", ("openai", "gpt-4o-mini")),
        ("openai-compatible", "openai/gpt-4o", ("openai", "gpt-4o")),
        ("openai-compatible", "gpt-oss-120b", None),
        ("openai-compatible", "mistral-7b-instruct", None),
        ("openai-compatible", "writer", None),
        ("local", "extractive", None),
        ("azure", "-" * 10_000, None),
    ],
)
def test_names(provider: str, model: str, known: tuple[str, str] | None) -> None:
    assert known_as(provider, model) == known
