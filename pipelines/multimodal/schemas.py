"""What `multimodal.understand` takes and gives: the contract that the API publishes as JSON Schema."""

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
        min_length=1, max_length=FILES_MAX, description="Images, PDFs and recordings, in the order to read them."
    )
    question: str | None = Field(
        None, min_length=1, max_length=QUESTION_MAX_CHARACTERS, pattern=r"\S", description="What to answer."
    )
    fill: dict[str, Any] | None = Field(
        None,
        description="A JSON Schema of an object whose properties are to be found in the files. No `$ref`.",
    )

    @model_validator(mode="after")
    def _one_task(self) -> Self:
        if (self.question is None) == (self.fill is None):
            raise ValueError("give either `question` or `fill`")
        return self


class Region(_Strict):
    """Where something stands: a box on a page, or a span of a recording."""

    file: FileId
    page: int | None = Field(description="From 1; null for recordings.")
    box: list[float] | None = Field(description="Left, top, right, bottom from the page's top left, in `unit`.")
    unit: Literal["points", "pixels", "seconds"] = Field(
        description="`points` (1/72 inch) for PDFs, `pixels` of the upright image, `seconds` for recordings."
    )
    start: float | None = Field(description="Seconds from the beginning; null for pages.")
    end: float | None = Field(description="Seconds from the beginning; null for pages.")
    text: str = Field(description="What was read there.")
    confidence: float = Field(ge=0, le=1, description="How sure the reader is of the text; 1 for a PDF's own text.")


class Found(_Strict):
    """What is known of one property of the schema."""

    confidence: float = Field(
        ge=0,
        le=1,
        description="How often such a value is right, as measured. 0: not found. Below 0.4 the value is null.",
    )
    regions: list[Region]
    note: str | None = Field(description="What to know of it, for example why the value is null.")


class Source(StrEnum):
    """How text was taken from a page or recording."""

    TEXT = "text"
    OCR = "ocr"
    SPEECH = "speech"


class ReadLine(_Strict):
    """A line of print or a sentence of speech as it was read."""

    text: str = Field(description="Cells of a table's row stand apart by ` | `.")
    box: list[float] | None = Field(description="As in a region; null for recordings.")
    start: float | None = Field(description="Seconds from the beginning; null for pages.")
    end: float | None = Field(description="Seconds from the beginning; null for pages.")
    confidence: float = Field(ge=0, le=1)


class ReadPart(_Strict):
    """A page or a recording that was read."""

    file: FileId
    page: int | None
    source: Source
    lines: int = Field(ge=0, description="How many lines were read.")
    unit: Literal["points", "pixels", "seconds"] = Field(description="Of the boxes or times in `text`.")
    text: list[ReadLine] = Field(
        description=f"The lines in reading order: the first {RESULT_LINES:,} of a job. The artifact has all of them."
    )


class UnderstandOutput(_Strict):
    """The answer with where it stands, or the filled object with where each value stands."""

    answer: str | None = Field(description="Null when a schema was filled.")
    answered: bool = Field(description="Whether the files answer; false for a schema of which nothing was found.")
    regions: list[Region] = Field(description="What the answer rests on.")
    data: dict[str, Any] | None = Field(description="The filled object; what was not found is null.")
    fields: dict[str, Found] = Field(description="Confidence and regions of each property of `data`.")
    valid: bool | None = Field(description="Whether `data` obeys the schema as given; null for a question.")
    violations: list[str] = Field(description="Where it does not, for example a required property that is null.")
    read: list[ReadPart]
    artifacts: list[str] = Field(
        description="Names of the thumbnails, of the pages with boxes drawn, and of the text of each file:"
        " `text-N.md` and `text-N.json`, of recordings `text-N.srt` and `text-N.vtt` too."
    )
    model: str | None = Field(description="The model that answered; null when none was called.")
    prompts: dict[str, str] = Field(description="Digest of each prompt that was read, by name.")


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
