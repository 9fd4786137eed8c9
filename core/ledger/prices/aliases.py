"""Maps a deployment to a model of the price table, when the table has no price under the deployment's own name.

Names of versions (``gpt-4o-2024-08-06``) are resolved as the package ``genai-prices`` resolves them. Azure lets an
operator name a deployment freely, so there the name is searched for a model's name (``claims-gpt4o-mini-prod`` is
``gpt-4o-mini``). An endpoint that merely speaks OpenAI's protocol may belong to anyone: only models sold solely by
their maker get its price. A price set under the deployment's own name takes precedence over all of this.
"""

import re
from functools import lru_cache

_AZURE = "azure"
_ANYONES = "openai-compatible"
_MAKERS = {"gpt": "openai", "chatgpt": "openai", "o1": "openai", "o3": "openai", "o4": "openai", "claude": "anthropic",
           "gemini": "google", "grok": "x-ai"}  # fmt: skip
_OPEN_WEIGHTS = "gpt-oss"
_BETWEEN = re.compile(r"[-_. ]+")
_NAME_MAX = 200
_WORDS_MAX = 12


@lru_cache(maxsize=4096)
def known_as(provider: str, model: str) -> tuple[str, str] | None:
    """The provider and model in the price table that `model` of `provider` is an alias of; None when it is not one."""
    name = model.lower()[:_NAME_MAX]
    if provider == _ANYONES:
        name = name.rpartition("/")[2]
        maker = _MAKERS.get(_BETWEEN.split(name)[0])
        if maker is None or name.startswith(_OPEN_WEIGHTS):
            return None
        return _found(maker, name)
    found = _found(provider, name)
    if found is None and provider == _AZURE:
        return _named_within(name)
    return found if found != (provider, model) else None


def _found(provider: str, name: str) -> tuple[str, str] | None:
    from genai_prices.data import providers  # loads ten thousand objects that most processes never need

    known = next((each for each in providers if each.id == provider), None)
    model = known and known.find_model(name, all_providers=providers)
    return (provider, model.id) if model else None


def _named_within(name: str) -> tuple[str, str] | None:
    """The model whose name is the longest run of whole words in `name`, whatever separates its words."""
    words = _BETWEEN.split(name)[:_WORDS_MAX]
    runs = {"".join(words[start:end]) for start in range(len(words)) for end in range(start + 1, len(words) + 1)}
    best = max(runs & _squeezed_names().keys(), key=len, default=None)
    return None if best is None else _found(_AZURE, _squeezed_names()[best])


@lru_cache(maxsize=1)
def _squeezed_names() -> dict[str, str]:
    from genai_prices.data import providers

    azure = next(provider for provider in providers if provider.id == _AZURE)
    resold = {_AZURE, *(azure.fallback_model_providers or ())}
    ids = [model.id for provider in providers if provider.id in resold for model in provider.models]
    return {"".join(_BETWEEN.split(model_id.lower())): model_id for model_id in ids}
