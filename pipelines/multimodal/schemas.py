"""Input and result of `multimodal.understand`, published by the API as JSON Schema."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.capability import Needs

FILES_MAX = 10
QUESTION_MAX_CHARACTERS = 2000
RESULT_LINES = 2000
_EXAMPLE_FILE = "file_01kb0d3h5we3v9wq2m8c5r6t7x"

FileId = Annotated[
    str,
    Field(
        pattern=r"^file_[0-7][0-9a-hjkmnp-tv-z]{25}$", description="Id of an uploaded file.", examples=[_EXAMPLE_FILE]
    ),
    Needs("files:read"),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UnderstandInput(_Strict):
    """Files, and either a question about them or a JSON Schema to fill from them."""

    files: list[FileId] = Field(
        min_length=1, max_length=FILES_MAX, description="Images, PDFs and recordings, in reading order."
    )
    question: str | None = Field(
        None, min_length=1, max_length=QUESTION_MAX_CHARACTERS, pattern=r"\S", description="The question to answer."
    )
    fill: dict[str, Any] | None = Field(
        None,
        description=(
            "A JSON Schema of an object whose properties are extracted from the files. `$ref` is not supported."
        ),
    )

    @model_validator(mode="after")
    def _one_task(self) -> Self:
        if (self.question is None) == (self.fill is None):
            raise ValueError("send either `question` or `fill`")
        return self


class Region(_Strict):
    """A location: a box on a page, or a span of a recording."""

    file: FileId
    page: int | None = Field(description="Page number, from 1. Null for recordings.")
    box: list[float] | None = Field(description="Left, top, right, bottom from the page's top left, in `unit`.")
    unit: Literal["points", "pixels", "seconds"] = Field(
        description="`points` (1/72 inch) for PDFs, `pixels` of the upright image, `seconds` for recordings."
    )
    start: float | None = Field(description="Start in seconds. Null for pages.")
    end: float | None = Field(description="End in seconds. Null for pages.")
    text: str = Field(description="The text that was read there.")
    confidence: float = Field(ge=0, le=1, description="Confidence of the reader in the text. 1 for a PDF's own text.")


class Found(_Strict):
    """Result for one property of the schema."""

    confidence: float = Field(
        ge=0,
        le=1,
        description="Measured probability that such a value is right. 0: not found. Below 0.4 the value is null.",
    )
    regions: list[Region]
    note: str | None = Field(description="Notes, for example why the value is null.")


class Source(StrEnum):
    """How text was extracted from a page or recording."""

    TEXT = "text"
    OCR = "ocr"
    SPEECH = "speech"


class ReadLine(_Strict):
    """A line of print or a sentence of speech."""

    text: str = Field(description="Cells of a table row are separated by ` | `.")
    box: list[float] | None = Field(description="As in a region. Null for recordings.")
    start: float | None = Field(description="Start in seconds. Null for pages.")
    end: float | None = Field(description="End in seconds. Null for pages.")
    confidence: float = Field(ge=0, le=1)


class ReadPart(_Strict):
    """A page or a recording that was read."""

    file: FileId
    page: int | None
    source: Source
    lines: int = Field(ge=0, description="Number of lines read.")
    unit: Literal["points", "pixels", "seconds"] = Field(description="Unit of the boxes or times in `text`.")
    text: list[ReadLine] = Field(
        description=f"The first {RESULT_LINES:,} lines of a job in reading order. The artifact contains all lines."
    )


class UnderstandOutput(_Strict):
    """The answer with its locations, or the filled object with the location of each value."""

    answer: str | None = Field(description="Null when a schema was filled.")
    answered: bool = Field(
        description="Whether the files answer the question. False for a schema of which nothing was found."
    )
    regions: list[Region] = Field(description="The regions that support the answer.")
    data: dict[str, Any] | None = Field(description="The filled object. Values that were not found are null.")
    fields: dict[str, Found] = Field(description="Confidence and regions of each property of `data`.")
    valid: bool | None = Field(description="Whether `data` matches the schema as given. Null for a question.")
    violations: list[str] = Field(description="Where it does not match, for example a required property that is null.")
    read: list[ReadPart]
    artifacts: list[str] = Field(
        description=(
            "Names of the thumbnails, the pages with boxes drawn, and the text of each file: `text-N.md` and"
            " `text-N.json`, and for recordings also `text-N.srt` and `text-N.vtt`."
        )
    )
    model: str | None = Field(description="The model that answered. Null when none was called.")
    prompts: dict[str, str] = Field(description="Digest of each prompt that was used, by name.")


EXAMPLES: tuple[dict[str, Any], ...] = (
    {"files": [_EXAMPLE_FILE], "question": "What is the total?"},
    {
        "files": [_EXAMPLE_FILE],
        "fill": {
            "type": "object",
            "properties": {"total": {"type": "number"}, "date": {"type": "string", "format": "date"}},
        },
    },
)
