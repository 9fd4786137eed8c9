"""The agents' work without a model that writes: select, order, set and review quotes. Nothing is invented.

Each function answers in the form that the agent's task requests, so that both cases are parsed alike.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.gateway.calls import JobModels
from core.gateway.models import Ability, ChatRequest, Passage, Question
from core.gateway.routing import CHAT, EMBEDDING, EXTRACTIVE
from pipelines.research.crew.formats import write_objection, write_order, write_quote
from pipelines.research.critique.claims import Block
from pipelines.research.report.rows import row_of
from pipelines.research.state import Found, Note, Objection, Part

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Cosine of two sentences with the same meaning.
_SAME = 0.92
# A note moves to the section that it answers better by this much than the one it was found for.
_BETTER_BY = 0.08
# A note this much further from its question than the closest one of its section is left out.
_FURTHER_BY = 0.3
# Cosine below which a sentence has nothing to do with the question that it is to answer.
_FOREIGN = 0.12


def take_quotes(models: JobModels, part: Part, sources: Sequence[tuple[int, Found]]) -> str:
    """The researcher's lines: the sentences that the extractive model cites. One model call."""
    return "\n".join(_cited(models, Question(part["query"], seeks_evidence=True), sources))


def answers(models: JobModels, part: Part, sources: Sequence[tuple[int, Found]]) -> str:
    """Lines like the researcher's, of passages that surely answer the part; empty when none does. One model call."""
    return "\n".join(_cited(models, Question(part["query"]), sources))


def _cited(models: JobModels, question: Question, sources: Sequence[tuple[int, Found]]) -> list[str]:
    passages = [
        Passage(str(number), found["text"], found["title"], found.get("page"), found.get("section") or "")
        for number, found in sources
    ]
    texts = {str(number): found["text"] for number, found in sources}
    name = CHAT if Ability.QUOTES in models.resolve(CHAT).abilities else EXTRACTIVE
    lines = []
    with models.chat(name, ChatRequest.of_parts((*passages, question))) as stream:
        for chunk in stream:
            for cited in chunk.citations:
                quote = texts[cited.passage_id][cited.start : cited.end]
                # Heads of tables, and titles set in columns, carry no meaning by themselves.
                if not _is_row(quote) or row_of(quote, texts[cited.passage_id]) is not None:
                    lines.append(write_quote(int(cited.passage_id), quote))
    return lines


def arrange(models: JobModels, plan: Sequence[Part], notes: Sequence[Note], sources: Sequence[Found]) -> str:
    """The analyst's lines: repeats removed, every note in the section that it answers best. One embedding call."""
    if not notes:
        return ""
    quotes = [quote_of(note, sources) for note in notes]
    vectors = models.embed(EMBEDDING, [*(part["query"] for part in plan), *quotes])
    questions, said = vectors[: len(plan)], vectors[len(plan) :]
    order: list[list[int]] = [[] for _ in plan]
    kept: list[int] = []
    for number, note in enumerate(notes):
        repeats = (float(said[number] @ said[other]) >= _SAME for other in kept if not _is_row(quotes[number]))
        if any(repeats) or any(_words(quotes[number]) == _words(quotes[other]) for other in kept):
            continue
        kept.append(number)
        close = [float(said[number] @ questions[section]) for section in range(len(plan))]
        best = max(range(len(plan)), key=close.__getitem__)
        # Rows of a table stay with its header, which is a note of the same part.
        moves = close[best] - close[note["part"]] > _BETTER_BY and not _is_row(quotes[number])
        order[best if moves else note["part"]].append(number)
    return write_order(
        [_without_far(section, quotes, said @ questions[number]) for number, section in enumerate(order)]
    )


def _without_far(section: Sequence[int], quotes: Sequence[str], closeness: "NDArray[Any]") -> list[int]:
    """The notes that are about as close to the question as the closest of them; rows of a table are not compared."""
    close = {number: float(closeness[number]) for number in section if not _is_row(quotes[number])}
    least = max(close.values(), default=0.0) - _FURTHER_BY
    return [number for number in section if close.get(number, least) >= least]


def set_section(
    order: Sequence[int], notes: Sequence[Note], sources: Sequence[Found], objections: Sequence[Objection]
) -> str:
    """The writer's section: each note as a quote with its source, except those that were objected to."""
    refused = {_words(objection["text"]) for objection in objections}
    lines = []
    for number in order:
        quote = " ".join(quote_of(notes[number], sources).split())
        if _words(f"\u201c{quote}\u201d") not in refused:
            lines.append(f"- \u201c{quote}\u201d [{notes[number]['source']}]")
    return "\n".join(lines)


def review(models: JobModels, plan: Sequence[Part], sections: Sequence[Sequence[Block]]) -> str:
    """The reviewer's lines: claims that repeat an earlier section, or have nothing to do with their question.

    One embedding call.
    """
    claims = [
        (section, number, claim.text)
        for section, blocks in enumerate(sections)
        for number, claim in enumerate(claim for block in blocks for claim in block.claims)
    ]
    if not claims:
        return ""
    vectors = models.embed(EMBEDDING, [*(part["query"] for part in plan), *(text for _, _, text in claims)])
    lines = []
    for row, (section, number, text) in enumerate(claims):
        vector = vectors[len(plan) + row]
        if _is_row(text):
            continue
        earlier = (other for other in range(row) if claims[other][0] != section and not _is_row(claims[other][2]))
        if any(float(vector @ vectors[len(plan) + other]) >= _SAME for other in earlier):
            lines.append(write_objection(section, number, "an earlier section says the same"))
        elif float(vector @ vectors[section]) < _FOREIGN:
            lines.append(write_objection(section, number, "does not bear on the question of its section"))
    return "\n".join(lines)


def quote_of(note: Note, sources: Sequence[Found]) -> str:
    """The words that a note quotes."""
    return sources[note["source"] - 1]["text"][note["start"] : note["end"]]


def _is_row(text: str) -> bool:
    return " | " in text or "\t" in text


def _words(text: str) -> str:
    return " ".join("".join(char if char.isalnum() else " " for char in text.casefold()).split())
