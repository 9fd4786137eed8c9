"""Services that the attempts of a process share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.files.service import FileService
from core.guard.guard import Guard
from core.jobs.live import LivePublisher
from core.jobs.service import JobService
from core.kit.blob import BlobStore, open_blob_store
from core.kit.db import Database
from core.kit.settings import Settings
from core.ledger.prices.cache import PriceCache
from core.ledger.usage_checkpoints import UsageCheckpoints
from workers.disclosure import FindDisclosure, default_disclosure
from workers.settlements import SettlementWriter
from workers.usage_checkpoints import UsageCheckpointWriter

if TYPE_CHECKING:
    from redis import Redis


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that an attempt reaches through its context, screened if there is a `guard`. Safe in threads."""

    settings: Settings
    database: Database
    publisher: LivePublisher
    prices: PriceCache
    usage_checkpoints: UsageCheckpointWriter
    settlements: SettlementWriter
    blobs: BlobStore
    jobs: JobService
    files: FileService
    guard: Guard | None = None
    disclosure: FindDisclosure = default_disclosure


def open_services(
    settings: Settings, database: Database, publisher: LivePublisher, redis: "Redis", *, guard: Guard | None = None
) -> Services:
    """The services over open connections; opens the blob store."""
    blobs = open_blob_store(settings)
    return Services(
        settings=settings,
        database=database,
        publisher=publisher,
        prices=PriceCache(),
        usage_checkpoints=UsageCheckpointWriter(UsageCheckpoints(redis, settings)),
        settlements=SettlementWriter(),
        blobs=blobs,
        jobs=JobService(settings, blobs),
        files=FileService(settings, blobs),
        guard=guard,
        disclosure=default_disclosure if guard is None else guard.disclosure_of,
    )
