"""Blob storage: one interface; a local directory by default, Azure Blob Storage in production."""

from core.kit.blob.factory import open_blob_store
from core.kit.blob.interface import BlobInfo, BlobNotFound, BlobStore

__all__ = ["BlobInfo", "BlobNotFound", "BlobStore", "open_blob_store"]
