"""Shared by the jobs of one worker process: guard, model gateway and blob store, opened on first use."""

import os
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from core.gateway.service import Gateway, open_registered_gateway
from core.guard.guard import Guard, open_guard
from core.kit.blob import BlobStore, open_blob_store
from core.kit.settings import get_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_opening = Lock()


def get_guard() -> Guard:
    """The guard of this process, reopened after a fork."""
    with _opening:
        return _open_guard(os.getpid())


def get_gateway() -> Gateway:
    """The gateway of this process, reopened after a fork: models and connections do not survive one."""
    with _opening:
        return _open_gateway(os.getpid())


def get_blob_store() -> BlobStore:
    """The blob store of this process, reopened after a fork."""
    with _opening:
        return _open_blob_store(os.getpid())


@lru_cache(maxsize=1)
def _open_guard(_process_id: int) -> Guard:
    return open_guard(get_settings(), _embed)


def _embed(texts: Sequence[str]) -> "NDArray[np.float32]":
    """Embed with the embedded model, which is loaded at the first call."""
    from core.gateway.embeddings.minilm import load_minilm

    return load_minilm().embed(texts)


@lru_cache(maxsize=1)
def _open_gateway(process_id: int) -> Gateway:
    return open_registered_gateway(get_settings(), guard=_open_guard(process_id))


@lru_cache(maxsize=1)
def _open_blob_store(_process_id: int) -> BlobStore:
    return open_blob_store(get_settings())
