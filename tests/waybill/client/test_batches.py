"""Batches by both clients against the real API."""

import asyncio
import io

import pytest

from tests.factories.api import RunningApi
from waybill.client import AsyncWaybillClient, InvalidRequest, WaitTimedOut, WaybillClient

LINES = [{"custom_id": name, "input": {"act": "noop"}} for name in ("a", "b")]


def test_a_batch_is_created_cancelled_and_read_line_by_line(api: RunningApi) -> None:
    with WaybillClient(api.url, api.key.plaintext) as client:
        made = client.batches.create(LINES, capability="probe.act", metadata={"run": "1"})
        assert (made.counts.total, made.counts.ended, made.has_ended) == (2, 0, False)
        assert [each.id for each in client.batches.list(limit=1).data] == [made.id]
        with pytest.raises(WaitTimedOut, match="in_progress"):
            client.batches.wait(made.id, timeout_seconds=0)
        cancelled = client.batches.cancel(made.id)
        assert cancelled.counts.cancelled == 2
        results = list(client.batches.results(made.id))
        assert [(each.custom_id, each.status) for each in results] == [("a", "cancelled"), ("b", "cancelled")]
        assert [each.custom_id for each in client.batches.results(made.id, after=1)] == ["b"]
        kept = io.BytesIO()
        assert client.batches.download(made.id, kept) == len(kept.getvalue()) > 0


def test_the_asynchronous_client_does_the_same(api: RunningApi) -> None:
    async def use() -> None:
        async with AsyncWaybillClient(api.url, api.key.plaintext) as client:
            made = await client.batches.create(LINES, capability="probe.act")
            await client.batches.cancel(made.id)
            assert [each.line async for each in client.batches.results(made.id)] == [1, 2]
            with pytest.raises(InvalidRequest, match="this custom_id"):
                await client.batches.create([*LINES, LINES[0]], capability="probe.act")

    asyncio.run(use())
