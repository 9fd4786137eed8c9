"""The gateway of a worker: names, parameters, prompts and arms are the registry's, from the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from core.gateway.models import ChatRequest, Text
from core.gateway.service import Gateway, open_registered_gateway
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from core.registry.errors import ModelUnknown
from core.registry.experiments.definition import ArmKind, NewArm, NewExperiment, Unit
from core.registry.experiments.exposures import exposures_of
from core.registry.experiments.service import ExperimentService
from core.registry.prompts import service as prompts
from core.registry.records import Owner
from pipelines._kit.prompts import choose_prompt, load_prompt
from tests.factories.attempts import Attempt, attempt, worker_services
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.provider_simulator import Answer, ProviderSimulator
from tests.factories.registered import Registrar, write_deployments
from tests.factories.waiting import wait_until

_PAID = "SELECT model_version FROM ledger_entries WHERE kind = 'settlement' ORDER BY job_id, attempt, call"


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


@contextmanager
def registered(settings: Settings) -> Iterator[Gateway]:
    gateway = open_registered_gateway(settings)
    try:
        yield gateway
    finally:
        gateway.close()


@contextmanager
def job(settings: Settings, tenant: Tenant, **given: Any) -> Iterator[Attempt]:
    with attempt(settings, encode(JOB, tenant.submit(**given))) as driven:
        yield driven


def ask(gateway: Gateway, driven: Attempt, name: str, **rest: Any) -> str:
    request = ChatRequest.of_parts((Text("Well?"),), **{"max_output_tokens": 500, **rest})
    with gateway.for_job(driven.context).chat(name, request) as stream:
        return "".join(chunk.text for chunk in stream)


def versions_paid(tenant: Tenant) -> list[str | None]:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        rows = session.execute(text(_PAID))
        return [row.model_version for row in rows]


def test_a_versions_parameters_and_limit_are_what_is_sent(settings: Settings, tenant: Tenant, tmp_path: Path) -> None:
    with ProviderSimulator(Answer("one")) as server:
        settings = settings.model_copy(update={"deployments_file": write_deployments(tmp_path, there=server)})
        _, (version,) = Registrar(settings, tenant).model(
            "writer",
            {
                "deployment": "there",
                "provider_model": "tiny",
                "parameters": {"top_p": 0.5, "seed": 7},
                "max_output_tokens": 99,
            },
        )
        with registered(settings) as gateway, job(settings, tenant) as driven:
            assert ask(gateway, driven, "writer") == "one"
            assert ask(gateway, driven, "writer", max_output_tokens=10) == "one"
            with pytest.raises(ModelUnknown, match="writer"):
                ask(gateway, driven, "nobody")
        sent = [request.body for request in server.requests]
    assert [(body["model"], body["top_p"], body["seed"], body["max_tokens"]) for body in sent] == [
        ("tiny", 0.5, 7, 99),
        ("tiny", 0.5, 7, 10),
    ]
    assert versions_paid(tenant) == [str(version.id)] * 2


def test_a_promotion_reaches_an_open_gateway(settings: Settings, tenant: Tenant, tmp_path: Path) -> None:
    with ProviderSimulator(Answer("old")) as old, ProviderSimulator(Answer("new")) as new:
        settings = settings.model_copy(update={"deployments_file": write_deployments(tmp_path, old=old, new=new)})
        registrar = Registrar(settings, tenant)
        model, _ = registrar.model("writer", {"deployment": "old"}, {"deployment": "new"})
        with registered(settings) as gateway, job(settings, tenant) as driven:
            assert ask(gateway, driven, "writer") == "old"
            registrar.promote(model, 2)
            wait_until(lambda: ask(gateway, driven, "writer") == "new", timeout_seconds=10, what="the promotion")


def test_a_job_keeps_the_arm_it_was_given(settings: Settings, tenant: Tenant, tmp_path: Path) -> None:
    principal = tenant.principal
    with ProviderSimulator(Answer("old")) as old, ProviderSimulator(Answer("new")) as new:
        settings = settings.model_copy(update={"deployments_file": write_deployments(tmp_path, old=old, new=new)})
        _, (_, second) = Registrar(settings, tenant).model("writer", {"deployment": "old"}, {"deployment": "new"})
        service = ExperimentService()
        with tenant.database.tenant(principal.organization_id) as session:
            made = service.create(
                session,
                principal,
                NewExperiment(
                    name="which",
                    capability="probe.act",
                    unit=Unit.END_USER,
                    arms=(
                        NewArm(name="next", weight=0.5, model="writer", model_version_id=second.id),
                        NewArm(name="as it is", weight=0.5, kind=ArmKind.CONTROL),
                    ),
                    baseline=0.5,
                    minimum_lift=0.1,
                ),
            )
            service.start(session, principal, made.id)
        said: dict[str, set[str]] = {}
        arms: dict[str, set[str]] = {}
        with registered(settings) as gateway, worker_services(settings) as services:
            for user in [f"user-{number}" for number in range(12)] * 2:
                driven = Attempt(services, tenant.submit(metadata={"end_user": user}))
                said.setdefault(user, set()).add(ask(gateway, driven, "writer"))
                said[user].add(ask(gateway, driven, "writer"))
                exposed = exposures_of(driven.context.executor, principal.organization_id, driven.context.job_id)
                arms.setdefault(user, set()).update(each.arm for each in exposed)
            # Whoever names no end user takes no part and gets the champion.
            driven = Attempt(services, tenant.submit())
            assert ask(gateway, driven, "writer") == "old"
            assert exposures_of(driven.context.executor, principal.organization_id, driven.context.job_id) == []
    assert {frozenset(each) for each in said.values()} == {frozenset({"old"}), frozenset({"new"})}
    assert {user: {"next": {"new"}, "as it is": {"old"}}[next(iter(names))] for user, names in arms.items()} == said


def test_prompts_are_the_experiments_the_versions_or_the_organisations(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    owner, name = Owner.of(tenant.principal), "knowledge/answer"
    with ProviderSimulator(Answer("fine")) as server:
        settings = settings.model_copy(update={"deployments_file": write_deployments(tmp_path, there=server)})
        with tenant.database.tenant(tenant.principal.organization_id) as session:
            theirs = prompts.add(session, owner, name, "For the version.", takes_force=False)
            prompts.add(session, owner, name, "For everybody here.", takes_force=True)
        registrar = Registrar(settings, tenant)
        registrar.model("plain", {"deployment": "there"})
        registrar.model("own", {"deployment": "there", "prompt_set": {name: theirs.digest}})
        with registered(settings) as gateway, job(settings, tenant) as driven:
            models = gateway.for_job(driven.context)

            def chosen(model: str, prompt: str = "answer") -> str:
                return choose_prompt(models, models.resolve(model), "pipelines.knowledge", prompt).text

            assert chosen("plain") == "For everybody here."
            assert chosen("own") == "For the version."
            assert chosen("own", "answer_turn") == load_prompt("pipelines.knowledge", "answer_turn").text


def test_texts_are_embedded_by_a_registered_model_and_paid_by_request(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    with ProviderSimulator() as server:
        settings = settings.model_copy(update={"deployments_file": write_deployments(tmp_path, there=server)})
        _, (version,) = Registrar(settings, tenant).model("vectors", {"deployment": "there", "abilities": ()})
        reported: list[tuple[int, int]] = []
        with registered(settings) as gateway, job(settings, tenant) as driven:
            vectors = gateway.for_job(driven.context).embed(
                "vectors", [f"text {number}" for number in range(300)], on_progress=lambda *at: reported.append(at)
            )
            assert gateway.for_job(driven.context).embed("local/minilm", ["here"]).shape == (1, 384)
    assert vectors.shape[0] == 300
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert reported == [(256, 300), (300, 300)]
    assert len(server.requests) == 2
    assert versions_paid(tenant)[:2] == [str(version.id)] * 2
