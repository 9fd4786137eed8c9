"""Asks the chat model, streams its answer to the client, and comes back with what could be verified of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from core.capability import JobContext
from core.gateway.models import Ability, ChatModel, ChatRequest, Citation, Finish, Part, Passage, Question
from core.kit.errors import CapabilityFailure
from pipelines._kit.prompts import digest, load_prompt
from pipelines.knowledge.reading import AnswerReader
from pipelines.knowledge.schemas import NoAnswer

NOTHING_FOUND = "There is nothing in this knowledge base to answer from."
NOTHING_SAID = "The model gave no answer."
NOTHING_VERIFIED = "No quote in this answer could be found in the documents; do not rely on it."
_ANSWER_MAX_TOKENS = 1024
_PACKAGE = "pipelines.knowledge"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was streamed. Marker ``[n]`` stands for ``citations[n - 1]``; `prompt` is a digest."""

    text: str
    citations: tuple[Citation, ...]
    dropped_quotes: int
    no_answer: NoAnswer | None
    model: str | None
    prompt: str | None


def answer_question(ctx: JobContext, model: ChatModel, question: str, passages: Sequence[Passage]) -> Answer:
    """Stream the answer as deltas and meter it, also when it is interrupted.

    Without passages no model is called. Raises `core.gateway.errors.GatewayError`, and `CapabilityFailure` when the
    provider withheld the answer.
    """
    if not passages:
        ctx.delta(NOTHING_FOUND)
        return Answer(NOTHING_FOUND, (), 0, NoAnswer.NOTHING_FOUND, None, None)
    system, turn = load_prompt(_PACKAGE, "answer"), load_prompt(_PACKAGE, "answer_turn")
    request = ChatRequest(
        parts=(*passages, Question(question)),
        system=system.text,
        max_output_tokens=_ANSWER_MAX_TOKENS,
        render=lambda parts: render_turn(turn.text, parts),
    )
    reader = AnswerReader(passages)
    finish = _stream(ctx, model, request, reader)
    if finish is Finish.FILTERED:
        raise CapabilityFailure("The model provider withheld the answer by its own policy.", code="answer_withheld")
    read = reader.reading
    says_no_answer = finish is Finish.NO_ANSWER or read.says_no_answer
    remark = ""
    if not read.text.strip():
        remark = NOTHING_SAID
    elif not read.citations and not says_no_answer:
        remark = f"\n\n{NOTHING_VERIFIED}"
    if remark:
        ctx.delta(remark)
    return Answer(
        text=read.text + remark,
        citations=read.citations,
        dropped_quotes=read.dropped_quotes,
        no_answer=_no_answer(says_no_answer=says_no_answer, verified=bool(read.citations)),
        model=model.name,
        # A model that only quotes is given no prompt.
        prompt=digest(system.text, turn.text) if Ability.WRITES in model.abilities else None,
    )


def render_turn(template: str, parts: Sequence[Part]) -> str:
    """The user's turn: the passages as numbered sources, then the question."""
    passages = [part for part in parts if isinstance(part, Passage)]
    sources = "\n\n".join(_source(number, passage) for number, passage in enumerate(passages, start=1))
    question = "\n".join(part.text for part in parts if not isinstance(part, Passage))
    return template.format(sources=sources, question=question)


def _source(number: int, passage: Passage) -> str:
    place = {"number": str(number), "document": passage.document}
    if passage.page is not None:
        place["page"] = str(passage.page)
    if passage.section:
        place["section"] = passage.section
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in place.items())
    # A document must not be able to end its own source and speak as the question.
    text = passage.text.replace("</source", "< /source").replace("</question", "< /question")
    return f"<source {attributes}>\n{text}\n</source>"


def _stream(ctx: JobContext, model: ChatModel, request: ChatRequest, reader: AnswerReader) -> Finish | None:
    with model.stream(request, check=ctx.check) as stream:
        try:
            for chunk in stream:
                if shown := reader.feed(chunk):
                    ctx.delta(shown)
            if shown := reader.close():
                ctx.delta(shown)
        finally:
            # Whatever ended the stream, what it consumed by then is metered.
            stream.close()
            usage = stream.usage
            if usage.input_tokens or usage.output_tokens:
                ctx.meter(usage.to_model_usage())
        return stream.finish


def _no_answer(*, says_no_answer: bool, verified: bool) -> NoAnswer | None:
    if says_no_answer:
        return NoAnswer.NOT_IN_DOCUMENTS
    return None if verified else NoAnswer.NOT_VERIFIED
