"""Asks the chat model, streams its answer to the client, and returns the verified parts of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from core.capability import JobContext
from core.gateway.calls import JobModels
from core.gateway.models import Ability, ChatRequest, Chunk, Finish, Passage, Question, Readable
from core.gateway.routed import RoutedStream
from core.gateway.routing import CHAT
from core.gateway.untrusted import report
from core.guard.records import Action
from core.kit.errors import CapabilityFailure
from pipelines._kit.prompts import choose_prompt, digest
from pipelines.knowledge.reading import AnswerReader, Reading

NOTHING_FOUND = "There is nothing in this knowledge base to answer from."
NOTHING_SAID = "The model gave no answer."
NOT_ANSWERED = "The documents do not answer this question."
_ANSWER_MAX_TOKENS = 1024
_PACKAGE = "pipelines.knowledge"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was streamed, and its origin. `prompt` is a digest, None for a model that reads no prompt."""

    reading: Reading
    says_no_answer: bool
    model: str
    prompt: str | None


def answer_question(ctx: JobContext, models: JobModels, question: str, passages: Sequence[Passage]) -> Answer:
    """Stream the answer as deltas and meter it, also when it is interrupted.

    Raises `core.gateway.errors.GatewayError`, and `CapabilityFailure` when the provider withheld the answer.
    """
    bound = models.resolve(CHAT)
    system, turn = (choose_prompt(models, bound, _PACKAGE, name) for name in ("answer", "answer_turn"))
    request = ChatRequest.of_parts(
        (*passages, Question(question)),
        system=system.text,
        max_output_tokens=_ANSWER_MAX_TOKENS,
        render=lambda parts: render_turn(turn.text, parts),
        # Quotes are compared with the documents word for word; the reader cleans all other text.
        cleaned=False,
    )
    stream, reader = _stream(ctx, models, request)
    finish = stream.finish
    if finish is Finish.FILTERED:
        raise CapabilityFailure("The model provider withheld the answer by its own policy.", code="answer_withheld")
    if not reader.reading.text.strip():
        said = NOT_ANSWERED if reader.reading.says_no_answer else NOTHING_SAID
        ctx.delta(reader.feed(Chunk(said)) + reader.close())
    return Answer(
        reading=reader.reading,
        says_no_answer=finish is Finish.NO_ANSWER or reader.reading.says_no_answer,
        model=stream.model.price_model,
        prompt=digest(system.text, turn.text) if Ability.WRITES in stream.abilities else None,
    )


def render_turn(template: str, parts: Sequence[Readable]) -> str:
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
    # A document must not be able to end its own source and pose as the question.
    text = passage.text.replace("</source", "< /source").replace("</question", "< /question")
    return f"<source {attributes}>\n{text}\n</source>"


def _stream(ctx: JobContext, models: JobModels, request: ChatRequest) -> tuple[RoutedStream, AnswerReader]:
    with models.chat(CHAT, request) as stream:
        reader = AnswerReader(request.passages, stream.link_stripper)
        for chunk in stream:
            if shown := reader.feed(chunk):
                ctx.delta(shown)
        if shown := reader.close():
            ctx.delta(shown)
        if reader.links_removed:
            report(ctx, {("link", Action.REDACT): reader.links_removed})
        return stream, reader
