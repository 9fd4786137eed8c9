"""Validates a version before it is written: it can never be corrected afterward."""

import re
from collections.abc import Collection, Iterator

from core.kit.errors import Unprocessable
from core.registry import parameters
from core.registry.deployments import Deployment, DeploymentCatalogue
from core.registry.records import ABILITIES, NewVersion

TOKENS_MAX = 100_000_000
FALLBACKS_MAX = 5
LIST_MAX = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}", re.ASCII)
_WORD = re.compile(r"[!-~]([ -~]{0,198}[!-~])?", re.ASCII)


def require_name(name: str, path: str) -> None:
    """Raise `Unprocessable` for an invalid name of a model or an alias."""
    if _NAME.fullmatch(name) is None:
        raise _refused([(path, "a name is 1 to 100 letters, digits and . _ : / -, and begins with a letter or digit")])


def require_valid(
    new: NewVersion,
    *,
    name: str,
    deployments: DeploymentCatalogue,
    known_names: Collection[str],
    known_prompts: Collection[tuple[str, str]],
) -> None:
    """Raise `Unprocessable` that lists every fault of a new version of the model called `name`.

    `known_names` are the models and aliases that fallbacks may name; `known_prompts` the names and digests of prompts.
    """
    found = [
        *_place(new, deployments),
        *_size(new),
        *(("parameters", fault) for _, fault in parameters.faults(new.parameters)),
        *_words(new),
        *_references(new, name, known_names, known_prompts),
    ]
    if found:
        raise _refused([(f"body.{path}", message) for path, message in found])


def _place(new: NewVersion, deployments: DeploymentCatalogue) -> Iterator[tuple[str, str]]:
    deployment = deployments.find(new.deployment)
    if deployment is None:
        yield "deployment", f"there is no deployment of that name; there are: {', '.join(deployments.names)}"
        return
    if new.provider != deployment.provider:
        yield "provider", f"the deployment {deployment.name} is one of {deployment.provider}"
    if new.provider == "local" and new.provider_model != deployment.name:
        yield "provider_model", f"the deployment {deployment.name} has one model, {deployment.name}"
    if not new.data_class_ceiling.is_within(deployment.data_class_ceiling):
        yield "data_class_ceiling", f"the deployment {deployment.name} takes {deployment.data_class_ceiling} at most"
    yield from _regions(new, deployment)


def _regions(new: NewVersion, deployment: Deployment) -> Iterator[tuple[str, str]]:
    if deployment.region is not None and deployment.region not in new.regions:
        yield "regions", f"the deployment {deployment.name} is in {deployment.region}"


def _size(new: NewVersion) -> Iterator[tuple[str, str]]:
    window, output = new.context_window, new.max_output_tokens
    if window is None:
        yield "context_window", "say how many tokens the model reads and writes in one call"
    elif not 1 <= window <= TOKENS_MAX:
        yield "context_window", f"from 1 to {TOKENS_MAX:,} tokens"
    if output is not None and not 1 <= output <= min(window or TOKENS_MAX, TOKENS_MAX):
        yield "max_output_tokens", "at least 1, and no more than context_window"


def _words(new: NewVersion) -> Iterator[tuple[str, str]]:
    unknown = sorted(set(new.abilities) - set(ABILITIES))
    if unknown or len(set(new.abilities)) != len(new.abilities):
        yield "abilities", f"each at most once, out of {', '.join(ABILITIES)}"
    for path, words in (
        ("provider_model", (new.provider_model,)),
        ("price_provider", (new.price_provider,)),
        ("price_model", (new.price_model,)),
        ("regions", new.regions),
    ):
        if len(words) > LIST_MAX or any(_WORD.fullmatch(word) is None for word in words):
            yield path, "1 to 200 printable ASCII characters without surrounding blanks"


def _references(
    new: NewVersion, name: str, known_names: Collection[str], known_prompts: Collection[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    if len(new.fallbacks) > FALLBACKS_MAX or len(set(new.fallbacks)) != len(new.fallbacks):
        yield "fallbacks", f"at most {FALLBACKS_MAX} different models"
    for fallback in new.fallbacks:
        if fallback == name:
            yield "fallbacks", "a model is not its own fallback"
        elif fallback not in known_names:
            yield "fallbacks", f"there is no model called {fallback[:100]}"
    for prompt, digest in new.prompt_set.items():
        if (prompt, digest) not in known_prompts:
            yield "prompt_set", f"the prompt {prompt[:130]} has no version {digest[:80]}"


def _refused(found: list[tuple[str, str]]) -> Unprocessable:
    problems = [{"path": path, "code": "version_invalid", "message": message} for path, message in found[:50]]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Unprocessable(f"{problems[0]['path']}: {problems[0]['message']}{more}", errors=problems)
