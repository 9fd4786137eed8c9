"""`multimodal.understand` as a graph: inspect → read, some pages at a time → answer or fill → mark."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypedDict

from langgraph.graph import END, START

from core.capability import JobContext, UploadedFile
from core.gateway.calls import JobModels
from core.kit.scratch import scratch_folder
from pipelines._kit.graph import Graph, GraphRunner, add_step, new_graph
from pipelines._kit.resources import get_gateway
from pipelines.multimodal import concluding, pictures, texts
from pipelines.multimodal.evidence import lines_of, region
from pipelines.multimodal.files.detect import refuse
from pipelines.multimodal.files.isolation import decode, inspect, render
from pipelines.multimodal.files.limits import JOB_PAGES
from pipelines.multimodal.filling.fill import require_schema, violations
from pipelines.multimodal.reading.pages import read_page
from pipelines.multimodal.reading.recognition import transcribe
from pipelines.multimodal.schemas import RESULT_LINES, UnderstandInput, UnderstandOutput

# Pages between two checkpoints: at most this many are read again after a worker is killed.
BATCH = 2
_SEEN_PAGES_MAX = 20


class State(TypedDict, total=False):
    """The state between steps: the files left to read, the lines read, and the conclusions."""

    files: list[str]
    question: str | None
    fill: dict[str, Any] | None
    todo: list[dict[str, Any]]
    parts: list[dict[str, Any]]
    said: dict[str, Any]
    artifacts: list[str]


class Models(Protocol):
    """The part of `core.gateway.service.Gateway` that is used here."""

    def for_job(self, ctx: JobContext) -> JobModels:
        """The models of the job."""


class Understand:
    """The nodes. Safe in several threads."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def graph(self) -> Graph:
        """The graph, not compiled."""
        graph = new_graph(State)
        add_step(graph, "inspect", self._inspect)
        add_step(graph, "read", self._read)
        add_step(graph, "answer", self._answer)
        add_step(graph, "fill", self._fill)
        add_step(graph, "mark", self._mark)
        graph.add_edge(START, "inspect")
        graph.add_edge("inspect", "read")
        graph.add_conditional_edges("read", _after_reading, ["read", "answer", "fill"])
        graph.add_edge("answer", "mark")
        graph.add_edge("fill", "mark")
        graph.add_edge("mark", END)
        return graph

    def _inspect(self, state: State, ctx: JobContext) -> Mapping[str, Any]:
        """Refuse unreadable files before anything is spent on the others."""
        if state["fill"] is not None:
            require_schema(state["fill"])
        todo: list[dict[str, Any]] = []
        pages = 0
        for file_id in state["files"]:
            with _opened(ctx, file_id) as (file, _):
                known = inspect(file, ctx.check, owner=str(ctx.organization_id))
                pages += known["pages"]
                if pages > JOB_PAGES:
                    refuse(
                        f"The files have more than {JOB_PAGES} pages.", "Send fewer at a time.", code="file_too_large"
                    )
                numbers = list(range(1, known["pages"] + 1))
                batches = [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)] or [[]]
                entry = {"file": file_id, "name": file.name, "kind": known["kind"]}
                todo.extend({**entry, "pages": batch} for batch in batches)
        return {"todo": todo, "parts": [], "artifacts": []}

    def _read(self, state: State, ctx: JobContext) -> Mapping[str, Any]:
        """Read the next batch. It is read again only if the worker is lost before its checkpoint."""
        task, *rest = state["todo"]
        parts, names = list(state["parts"]), list(state["artifacts"])
        number = state["files"].index(task["file"]) + 1
        with _opened(ctx, task["file"]) as (file, folder):
            if task["kind"] == "audio":
                parts.append({**_heard(file, folder, ctx), "file": task["file"], "name": task["name"]})
            for page in _rendered(file, task["kind"], task["pages"], folder, ctx):
                ctx.check()
                parts.append({**read_page(page, folder, ctx.check), "file": task["file"], "name": task["name"]})
                parts[-1]["kind"] = task["kind"]
                names.append(f"thumbnail-{number}-{page['number']}.jpg")
                ctx.artifact(names[-1], pictures.thumbnail(folder / page["file"]), "image/jpeg", is_copy=True)
        ctx.progress(len(parts), len(parts) + sum(len(left["pages"]) or 1 for left in rest), "read")
        return {"todo": rest, "parts": parts, "artifacts": names}

    def _answer(self, state: State, ctx: JobContext) -> Mapping[str, Any]:
        models, question = self._models.for_job(ctx), state["question"] or ""
        with self._pictures(state, ctx, models) as seen:
            said = concluding.answer(
                ctx, models, question, lines=lines_of(state["parts"]), parts=state["parts"], pictures=seen
            )
        return {"said": {**said, "attempt": ctx.attempt}}

    def _fill(self, state: State, ctx: JobContext) -> Mapping[str, Any]:
        models = self._models.for_job(ctx)
        with self._pictures(state, ctx, models) as seen:
            said = concluding.fill(ctx, models, state["fill"] or {}, lines=lines_of(state["parts"]), pictures=seen)
        return {"said": {**said, "attempt": ctx.attempt}}

    def _mark(self, state: State, ctx: JobContext) -> Mapping[str, Any]:
        """Draw the boxes of the cited lines on their pages, and write out the text that was read."""
        said, names = state["said"], list(state["artifacts"])
        if said["attempt"] != ctx.attempt and "answer" in said:
            # Clients start the text over with every attempt, and this one does not ask the model again.
            ctx.delta(said["answer"])
        lines = lines_of(state["parts"])
        used = said["lines"] if "lines" in said else [at for found in said["found"].values() for at in found["lines"]]
        for index in sorted({lines[at]["part"] for at in used if "box" in lines[at]}):
            part = state["parts"][index]
            boxes = [lines[at] for at in sorted(set(used)) if lines[at]["part"] == index]
            with _opened(ctx, part["file"]) as (file, folder):
                page = _rendered(file, part["kind"], [part["page"]], folder, ctx)[0]
                drawn = pictures.annotated(folder / page["file"], page["scale"], boxes)
            names.append(f"annotated-{state['files'].index(part['file']) + 1}-{part['page']}.png")
            ctx.artifact(names[-1], drawn, "image/png", is_copy=True)
        for number, file_id in enumerate(state["files"], start=1):
            read = [part for part in state["parts"] if part["file"] == file_id]
            for ending, (content, kind) in texts.documents_of(read).items():
                names.append(f"text-{number}.{ending}")
                ctx.artifact(names[-1], content, kind, is_copy=True)
        return {"artifacts": names}

    @contextmanager
    def _pictures(self, state: State, ctx: JobContext, models: JobModels) -> Iterator[list[Path]]:
        """The pages as pictures for a model; none for one that cannot see."""
        pages = [part for part in state["parts"] if part["page"] is not None]
        if not pages or not concluding.sees(models):
            yield []
            return
        with scratch_folder() as kept:
            found: list[Path] = []
            for number, part in enumerate(pages[:_SEEN_PAGES_MAX]):
                with _opened(ctx, part["file"]) as (file, folder):
                    page = _rendered(file, part["kind"], [part["page"]], folder, ctx)[0]
                    found.append(pictures.seen(folder / page["file"]).rename(kept / f"{number}.jpg"))
            yield found


@contextmanager
def _opened(ctx: JobContext, file_id: str) -> Iterator[tuple[UploadedFile, Path]]:
    """The file, and a folder of its own for the sandbox's output."""
    with ctx.open_file(file_id) as file, scratch_folder() as folder:
        yield file, folder


def _rendered(
    file: UploadedFile, kind: str, numbers: Sequence[int], folder: Path, ctx: JobContext
) -> list[dict[str, Any]]:
    return render(file, kind, numbers, folder, ctx.check, owner=str(ctx.organization_id)) if numbers else []


def _heard(file: UploadedFile, folder: Path, ctx: JobContext) -> dict[str, Any]:
    decoded = decode(file, folder, ctx.check, owner=str(ctx.organization_id))
    lines = transcribe(folder / decoded["file"], ctx.check)
    return {"page": None, "unit": "seconds", "source": "speech", "lines": lines, "kind": "audio"}


def _after_reading(state: State) -> str:
    if state["todo"]:
        return "read"
    return "answer" if state["fill"] is None else "fill"


def _begin(payload: UnderstandInput) -> Mapping[str, Any]:
    return {"files": list(dict.fromkeys(payload.files)), "question": payload.question, "fill": payload.fill}


def _finish(state: Mapping[str, Any]) -> UnderstandOutput:
    said, parts = state["said"], state["parts"]
    lines = lines_of(parts)

    def regions(indexes: Sequence[int]) -> list[dict[str, Any]]:
        return [region(lines[at], parts[lines[at]["part"]]) for at in indexes]

    values = said.get("values")
    broken = [] if values is None else violations(state["fill"], values)
    found = {
        name: {"confidence": known["confidence"], "regions": regions(known["lines"]), "note": known["note"]}
        for name, known in said.get("found", {}).items()
    }
    return UnderstandOutput.model_validate(
        {
            "answer": said.get("answer"),
            "answered": said["answered"] if values is None else any(value is not None for value in values.values()),
            "regions": regions(said.get("lines", [])),
            "data": values,
            "fields": found,
            "valid": None if values is None else not broken,
            "violations": broken,
            "read": list(_read_parts(parts)),
            "artifacts": state["artifacts"],
            "model": said["model"],
            "prompts": said["prompts"],
        }
    )


def _read_parts(parts: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    left = RESULT_LINES
    for part in parts:
        text = [texts.line_of(line) for line in part["lines"][:left]]
        left -= len(text)
        known = {name: part[name] for name in ("file", "page", "source", "unit")}
        yield {**known, "lines": len(part["lines"]), "text": text}


def build() -> GraphRunner[UnderstandInput, UnderstandOutput]:
    """The runner of one worker process."""
    return build_with(get_gateway())


def build_with(models: Models) -> GraphRunner[UnderstandInput, UnderstandOutput]:
    """The runner over the given models."""
    return GraphRunner(Understand(models).graph(), begin=_begin, finish=_finish)
