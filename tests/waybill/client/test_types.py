"""What a type checker sees: `make types` fails when one of these is not exactly so. Nothing here talks to an API."""

from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from io import BytesIO
from typing import assert_type

from waybill.client import (
    AsyncEventStream,
    AsyncJob,
    AsyncWaybillClient,
    Event,
    EventStream,
    Job,
    KnowledgeBase,
    Page,
    ProjectEvent,
    WaybillClient,
)
from waybill.client.models import Budget, Document, Feedback, File, JobCost, Key, Model, Price, WebhookEndpoint


def plainly(client: WaybillClient) -> None:
    job = assert_type(client.jobs.submit("a.b", {}), Job)
    assert_type(job.wait().raise_for_state(), Job)
    assert_type(job.refresh().cancel().answer(1), Job)
    assert_type(job.stream(), EventStream[Event])
    assert_type(next(job.stream()), Event)
    assert_type(job.cost(), JobCost)
    assert_type(job.feedback(1.0), Feedback)
    assert_type(client.jobs.list(), Page[Job])
    assert_type(client.every(client.jobs.list, states=["failed"]), Iterator[Job])
    assert_type(client.every(client.files.list), Iterator[File])
    assert_type(client.events.stream(), EventStream[ProjectEvent])
    assert_type(client.knowledge_bases.ensure("a"), tuple[KnowledgeBase, bool])
    assert_type(client.knowledge_bases.documents("kb"), Iterator[Document])
    assert_type(client.files.download("file", BytesIO()), int)
    assert_type(client.webhooks.create("https://example.com"), WebhookEndpoint)
    assert_type(client.budgets.list(), Page[Budget])
    assert_type(client.keys.create("laptop"), Key)
    assert_type(client.models.find("m"), Model | None)
    assert_type(client.prices.list(), Iterator[Price])
    assert_type(client.with_options(attempts=1), WaybillClient)


async def awaited(client: AsyncWaybillClient) -> None:
    job = assert_type(await client.jobs.submit("a.b", {}), AsyncJob)
    assert_type((await job.wait()).raise_for_state(), AsyncJob)
    assert_type(await job.refresh(), AsyncJob)
    assert_type(await job.answer(1), AsyncJob)
    assert_type(job.stream(), AsyncEventStream[Event])
    assert_type(await anext(job.stream()), Event)
    assert_type(await job.cost(), JobCost)
    assert_type(await job.feedback(1.0), Feedback)
    assert_type(await client.jobs.list(), Page[AsyncJob])
    assert_type(client.every(client.jobs.list, states=["failed"]), AsyncIterator[AsyncJob])
    assert_type(client.every(client.files.list), AsyncIterator[File])
    assert_type(client.events.stream(), AsyncEventStream[ProjectEvent])
    assert_type(await client.knowledge_bases.ensure("a"), tuple[KnowledgeBase, bool])
    assert_type(client.knowledge_bases.documents("kb"), AsyncIterator[Document])
    assert_type(await client.files.download("file", BytesIO()), int)
    assert_type(await client.webhooks.create("https://example.com"), WebhookEndpoint)
    assert_type(await client.budgets.list(), Page[Budget])
    assert_type(await client.keys.create("laptop"), Key)
    assert_type(await client.models.find("m"), Model | None)
    assert_type(client.prices.list(), AsyncIterator[Price])
    assert_type(client.with_options(attempts=1), AsyncWaybillClient)


def test_type_checkers_see_that_there_are_types() -> None:
    assert (files("waybill") / "py.typed").is_file()
