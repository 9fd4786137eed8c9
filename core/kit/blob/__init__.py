"""Blob storage: one interface; a local directory by default, Azure Blob Storage in production."""

from core.kit.blob.interface import BlobInfo, BlobNotFound, BlobStore
from core.kit.blob.opening import open_blob_store

__all__ = ["BlobInfo", "BlobNotFound", "BlobStore", "open_blob_store"]
