"""``waybill kb``: knowledge bases, and the documents in them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, ClassName, Cursor, DataClass, Json, Limit, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.cli.uploads import Difference, Refused
    from waybill.client import Document, KnowledgeBase, WaybillClient

app = typer.Typer(
    no_args_is_help=True, help="Create knowledge bases, add documents and ask questions about them.", epilog=EPILOG
)

_INGEST = "knowledge.ingest"
# More would make the job's input long; None means all pending ones, which is then the same set.
_NAMED_DOCUMENTS_MAX = 10_000


@app.command(epilog=EPILOG)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name, unique in the project.", show_default=False)],
    description: Annotated[str, typer.Option(help="Description.")] = "",
    data_class: DataClass = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Create an empty knowledge base and print its id."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        base = client.knowledge_bases.create(name, description, data_class=data_class)
    if as_json:
        output.document(base.as_json())
        return
    output.show(base.id)
    output.note(f"empty; add documents with: waybill kb ingest {name} FOLDER", style="dim")


@app.command(epilog=EPILOG)
def label(
    base: Annotated[str, typer.Argument(metavar="BASE", help="Name or id of the knowledge base.", show_default=False)],
    data_class: Annotated[
        ClassName, typer.Argument(metavar="CLASS", help="public, internal, confidential or restricted.")
    ],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Set a knowledge base's data class. Jobs that search it from now on have at least this class.

    Example: waybill kb label handbook confidential
    """
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        changed = client.knowledge_bases.update(find_base(client, base).id, data_class=data_class)
    output.show(f"{changed.name} is {changed.data_class}")
    if as_json:
        output.document(changed.as_json())


@app.command("list", epilog=EPILOG)
def list_bases(
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the project's knowledge bases, newest first."""
    from waybill.cli.tables import bases_table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.knowledge_bases.list(limit=limit, cursor=cursor)
    output.page(page, bases_table, "no knowledge bases; create one with: waybill kb create NAME")


@app.command(epilog=EPILOG)
def documents(
    base: Annotated[str, typer.Argument(metavar="BASE", help="Name or id of the knowledge base.", show_default=False)],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the documents of a knowledge base with their state and, if failed, the reason."""
    from waybill.cli.tables import documents_table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = list(client.knowledge_bases.documents(find_base(client, base).id))
    if as_json:
        output.document({"data": [document.as_json() for document in found], "next_cursor": None})
    elif found:
        output.show(documents_table(found))
    else:
        output.note(f"no documents; add some with: waybill kb ingest {base} FOLDER")


@app.command(epilog=EPILOG)
def ingest(
    base: Annotated[str, typer.Argument(metavar="BASE", help="Name or id of the knowledge base.", show_default=False)],
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...", exists=True, help="Files, or folders to search recursively.", show_default=False
        ),
    ],
    create_base: Annotated[
        bool, typer.Option("--create", help="Create the knowledge base if it does not exist.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Upload files to a knowledge base and index them: PDF, Office, HTML, mail, CSV, JSON, Markdown, text.

    Reports content that was skipped. Files that have not changed are not uploaded again.
    A file that cannot be read does not stop the others; the exit code is then 1.
    """
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        target = client.knowledge_bases.ensure(base)[0] if create_base else find_base(client, base)
        report = ingest_paths(client, target, paths, output)
    if as_json:
        output.document(report)
    if report["refused"] or _failed(report["job"]):
        raise typer.Exit(Exit.FAILED)


@app.command(epilog=EPILOG)
def ask(
    base: Annotated[str, typer.Argument(metavar="BASE", help="Name or id of the knowledge base.", show_default=False)],
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="The question, in plain words.", show_default=False)
    ],
    passages: Annotated[
        bool, typer.Option("--passages", help="Find passages only, without writing an answer.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Number of passages to find.")] = 8,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Ask a question about the documents: submits a knowledge.search job and shows the answer as it is written.

    Example: waybill kb ask handbook 'How long may a claim be filed?'
    """
    from waybill.cli.jobs import watch_and_show

    output = Output(as_json=as_json)
    mode = "passages" if passages else "answer"
    with connect(url, api_key) as client:
        target = find_base(client, base)
        asked = {"knowledge_base": target.id, "query": question, "mode": mode, "limit": limit}
        job = client.jobs.submit("knowledge.search", asked)
        watch_and_show(client, job.id, output, after=0)


def find_base(client: "WaybillClient", base: str) -> "KnowledgeBase":
    """The knowledge base with that id or name. Raises `CliError` if there is none."""
    from waybill.client import ApiProblem

    if base.startswith("kb_"):
        try:
            return client.knowledge_bases.get(base)
        except ApiProblem as problem:
            # A name may begin like an id.
            if problem.status not in {404, 422}:
                raise
    found = client.knowledge_bases.find(base)
    if found is None:
        raise CliError(
            f"no knowledge base {base!r} in this project",
            remedy=f"create it with `waybill kb create {base}`, or see `waybill kb list`",
            code="knowledge_base_not_found",
            exit_code=Exit.FAILED,
        )
    return found


def ingest_paths(
    client: "WaybillClient",
    base: "KnowledgeBase",
    paths: list[Path],
    output: Output,
    *,
    metadata: Mapping[str, str] | None = None,
    on_alive: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Upload new files below `paths` and ingest them, showing progress.

    Returns ``{knowledge_base, uploaded, unchanged, passed_over, refused, job}``; without anything to do `job` is None.
    """
    from pipelines.knowledge.documents.formats import READ_FORMATS
    from waybill.cli.uploads import compare, select

    selection = select(paths)
    if not selection.files:
        raise CliError(
            f"found nothing to ingest in {', '.join(str(path) for path in paths)}",
            remedy=f"supported formats: {READ_FORMATS}",
            code="nothing_to_ingest",
            exit_code=Exit.FAILED,
        )
    for path in selection.passed_over:
        output.note(f"skipped {path}: unsupported format", style="yellow")
    difference = compare(selection.files, client.knowledge_bases.documents(base.id))
    if difference.unchanged:
        output.note(f"unchanged, skipped: {len(difference.unchanged)} of {len(selection.files)} documents")
    report: dict[str, Any] = {
        "knowledge_base": base.id,
        "uploaded": [],
        "unchanged": [file.name for file in difference.unchanged],
        "passed_over": [str(path) for path in selection.passed_over],
        "refused": [],
        "job": None,
    }
    if not difference.changed:
        return report
    documents, refused = _upload(client, base, difference, output)
    report["uploaded"] = [document.name for document in documents]
    report["refused"] = [asdict(each) for each in refused]
    for each in refused:
        output.show(f"✗ {each.name}: {each.message}")
    if documents:
        report["job"] = _ingest(client, base, [document.id for document in documents], output, metadata, on_alive)
    return report


def _upload(
    client: "WaybillClient", base: "KnowledgeBase", difference: "Difference", output: Output
) -> "tuple[list[Document], list[Refused]]":
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from waybill.cli.uploads import send

    total = sum(len(content) for _, content in difference.changed)
    columns = (TextColumn("uploading"), BarColumn(32), DownloadColumn(), TextColumn("{task.fields[file]}", style="dim"))
    with Progress(*columns, console=output.console, transient=True, disable=not output.is_live) as bars:
        task = bars.add_task("", total=total, file="")
        documents, refused = send(
            client, base, difference.changed, lambda file, size: bars.update(task, advance=size, file=file.name)
        )
    output.note(f"uploaded {len(documents)} documents, {sum(each.size_bytes for each in documents) / 1000:,.0f} kB")
    return documents, refused


def _ingest(
    client: "WaybillClient",
    base: "KnowledgeBase",
    documents: list[str],
    output: Output,
    metadata: Mapping[str, str] | None,
    on_alive: Callable[[], None] | None,
) -> dict[str, Any]:
    from waybill.cli.answers import ingest_report
    from waybill.cli.watch import watch

    named = documents if len(documents) <= _NAMED_DOCUMENTS_MAX else None
    job = client.jobs.submit(_INGEST, {"knowledge_base": base.id, "documents": named}, metadata=metadata)
    if output.as_json:
        job = client.jobs.wait(job.id)
    else:
        try:
            watch(client, job.id, output, title=f"reading {len(documents)} documents", brief=True, on_alive=on_alive)
        except KeyboardInterrupt:
            output.note(f"stopped watching; the ingest is still running: `waybill jobs watch {job.id}`")
            raise
        job = client.jobs.get(job.id)
        output.show(*ingest_report(job.record))
    return job.as_json()


def _failed(job: dict[str, Any] | None) -> bool:
    if job is None:
        return False
    counts = (job.get("result") or {}).get("counts") or {}
    return job["state"] != "succeeded" or bool(counts.get("failed"))
