"""Prompts: versions, what is in force, and what takes the place of a capability's file."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from core.kit.errors import Unprocessable
from core.registry.errors import PromptNotFound
from core.registry.prompts import service
from core.registry.prompts.cache import PromptCache, PromptUnknown
from core.registry.prompts.records import ChosenPrompt, PromptVersion
from core.registry.records import ResolvedModel
from pipelines._kit.prompts import Prompt, choose_prompt, load_prompt, packaged_prompts
from tests.core.registry.conftest import Tenant, new_tenant
from tests.factories.tenancy import watch_single_statements

NAME = "knowledge/answer"
PACKAGE = "pipelines.knowledge"


def add(tenant: Tenant, text: str, *, takes_force: bool = False, name: str = NAME) -> PromptVersion:
    with tenant.session() as session:
        return service.add(session, tenant.owner, name, text, takes_force=takes_force)


def versions(tenant: Tenant) -> list[PromptVersion]:
    with tenant.session() as session:
        found = service.list_prompts(session, tenant.owner.organization_id, name=NAME, limit=50, cursor=None)
    return [each for each in found if each.organization_id is not None]


@dataclass
class Choosing:
    """What a job's models say of prompts, over a book: see `core.gateway.calls.JobModels.prompt`."""

    cache: PromptCache
    tenant: Tenant
    pinned: str | None = None

    def prompt(self, name: str, model: ResolvedModel) -> ChosenPrompt | None:
        return self.cache.choose(
            self.tenant.database.single_tenant(self.tenant.organization_id),
            organization_id=self.tenant.organization_id,
            name=name,
            prompt_set=model.prompt_set,
            pinned=self.pinned,
        )


def choose(
    cache: PromptCache, tenant: Tenant, prompt_set: dict[str, str] | None = None, pinned: str | None = None
) -> Prompt:
    model = ResolvedModel(
        model="any",
        provider="local",
        deployment="any",
        provider_model="any",
        abilities=(),
        price_provider="local",
        price_model="any",
        prompt_set=prompt_set or {},
    )
    return choose_prompt(Choosing(cache, tenant, pinned), model, PACKAGE, "answer")


def test_versions_are_added_and_one_is_in_force(tenant: Tenant) -> None:
    first = add(tenant, "  One.\n", takes_force=True)
    assert (first.number, first.text, first.is_in_force) == (1, "One.", True)
    second = add(tenant, "Two.")
    assert (second.number, second.is_in_force) == (2, False)
    assert add(tenant, "Two.").id == second.id, "the newest version is not written twice"
    third = add(tenant, "Two.", takes_force=True)
    assert (third.number, third.digest) == (3, second.digest)
    with tenant.session() as session:
        back = service.enforce(session, tenant.owner, NAME, first.digest)
    assert (back.number, back.digest, back.is_in_force) == (4, first.digest, True)
    assert [(each.number, each.is_in_force) for each in versions(tenant)] == [
        (4, True),
        (3, False),
        (2, False),
        (1, False),
    ]
    with tenant.session() as session, pytest.raises(PromptNotFound):
        service.enforce(session, tenant.owner, NAME, "sha256:" + "0" * 64)


def test_versions_added_at_once_are_numbered_without_gaps(tenant: Tenant) -> None:
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(lambda number: add(tenant, f"text {number}", takes_force=True).number, range(6)))
    assert sorted(made) == list(range(1, 7))
    assert [each.is_in_force for each in versions(tenant)] == [True, *[False] * 5]


@pytest.mark.parametrize(
    ("name", "text"), [("answer", "x"), ("a/B", "x"), ("a/b/c", "x"), (NAME, "  "), (NAME, "x" * 65_537)]
)
def test_what_cannot_be_a_prompt_is_refused(tenant: Tenant, name: str, text: str) -> None:
    with pytest.raises(Unprocessable):
        add(tenant, text, name=name)


def test_the_files_of_the_capabilities_become_shared_once(tenant: Tenant) -> None:
    files = dict(packaged_prompts())
    assert {"knowledge/answer", "knowledge/answer_turn"} <= set(files)
    with tenant.database.system() as session:
        added = service.seed(session, files.items())
        assert added <= len(files)
        assert service.seed(session, files.items()) == 0
        changed = {**files, NAME: f"{files[NAME]}\nMore."}
        assert service.seed(session, changed.items()) == 1
        assert service.seed(session, files.items()) == 1
    with tenant.session() as session:
        found = service.list_prompts(session, tenant.organization_id, name=NAME, limit=50, cursor=None)
    newest = found[0]
    # The digest of a row is the digest of the file, so that results name the same thing.
    assert (newest.organization_id, newest.digest) == (None, load_prompt(PACKAGE, "answer").digest)


def test_what_takes_the_place_of_a_file(tenant: Tenant) -> None:
    cache = PromptCache()
    file = load_prompt(PACKAGE, "answer")
    assert choose(cache, tenant) == file
    draft = add(tenant, "A draft.")
    cache.evict()
    assert choose(cache, tenant) == file
    own = add(tenant, "Ours.", takes_force=True)
    cache.evict()
    assert choose(cache, tenant) == Prompt("Ours.", own.digest)
    assert choose(cache, tenant, {NAME: draft.digest}).text == "A draft."
    assert choose(cache, tenant, {"knowledge/answer_turn": draft.digest}).text == "Ours."
    assert choose(cache, tenant, {NAME: draft.digest}, pinned=own.digest).text == "Ours."
    stranger = new_tenant(tenant.database, tenant.registry.deployments)
    assert choose(cache, stranger) == file
    for digest in (draft.digest, "sha256:" + "0" * 64):
        with pytest.raises(PromptUnknown):
            choose(cache, stranger, {NAME: digest})


def test_it_asks_once(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = add(tenant, "A draft.")
    cache = PromptCache()
    asked = watch_single_statements(tenant.database, monkeypatch, "")
    for _ in range(3):
        choose(cache, tenant)
        choose(cache, tenant, {NAME: draft.digest})
    assert len(asked) == 2
