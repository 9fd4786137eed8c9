"""What the ledger counts."""

from enum import StrEnum


class Unit(StrEnum):
    """A kind of quantity. Every token counts in exactly one kind, so that the kinds of a call add up."""

    INPUT_TOKENS = "input_tokens"
    CACHED_INPUT_TOKENS = "cached_input_tokens"
    CACHE_WRITE_TOKENS = "cache_write_tokens"
    OUTPUT_TOKENS = "output_tokens"
    REASONING_TOKENS = "reasoning_tokens"
    EMBEDDING_TOKENS = "embedding_tokens"
    IMAGE = "image"
    AUDIO_SECOND = "audio_second"
    OCR_PAGE = "ocr_page"
    WORKER_SECOND = "worker_second"
