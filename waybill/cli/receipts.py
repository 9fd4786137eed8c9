"""``waybill jobs waybill`` fetches the signed receipt of a job; ``waybill verify`` checks one, offline."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from core.kit.signing import Keyring

_MARKS = {True: "holds", False: "FAILS", None: "open "}
_FETCH_SECONDS = 10


def register(app: typer.Typer, jobs: typer.Typer, rich_help_panel: str) -> None:
    """Add the commands to the root command and to ``waybill jobs``."""
    app.command(epilog=EPILOG, rich_help_panel=rich_help_panel)(verify)
    jobs.command("waybill", epilog=EPILOG)(fetch)


def fetch(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The id of an ended job.", show_default=False)],
    to: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", show_default="stdout", help="File to write.")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Fetch a job's waybill: a signed record of its input, execution and cost, with proofs."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        document = client.audit.waybill(job_id)
    if to is None:
        output.document(document)
        return
    to.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    output.note(f"wrote {to}; check it with: waybill verify {to}")


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The waybill's file.", show_default=False)],
    jwks: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            show_default="the local installation's keys",
            help="Public keys: a file, or the URL …/.well-known/jwks.json.",
        ),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", show_default=False, help="File with the job's input, as JSON."),
    ] = None,
    result: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="File with the job's result, as JSON.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify a waybill offline: signature, proofs and sums. Exit code 1 if anything does not hold.

    Example: waybill verify waybill.json --jwks https://waybill.example/.well-known/jwks.json
    """
    from core.jobs.receipts.checks import check, holds

    output = Output(as_json=as_json)
    document = _read(file)
    checks = check(
        document,
        _keyring(jwks),
        given=None if given is None else _read(given),
        result=None if result is None else _read(result),
    )
    it_holds = holds(checks)
    if as_json:
        found = [{"name": each.name, "holds": each.holds, "text": each.text} for each in checks]
        output.document({"holds": it_holds, "checks": found})
    for each in checks:
        output.show(f"{_MARKS[each.holds]}  {each.text}")
    if not it_holds:
        output.note("this waybill could not be verified")
        raise typer.Exit(Exit.FAILED)


def _keyring(source: str | None) -> "Keyring | None":
    from core.kit.settings import get_settings
    from core.kit.signing import Keyring

    if source is None:
        own = Keyring.from_settings(get_settings())
        return own if len(own) else None
    document = _download(source) if source.startswith(("http://", "https://")) else _read(Path(source))
    try:
        return Keyring.from_jwks(document)
    except ValueError as error:
        raise CliError(f"no keys in {source}: {error}", code="bad_key_set", exit_code=Exit.USAGE) from error


def _download(url: str) -> Any:
    import httpx

    try:
        answer = httpx.get(url, timeout=_FETCH_SECONDS, follow_redirects=False)
        return answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise CliError(
            f"cannot fetch public keys from {url}: {error}",
            remedy="save them to a file and pass it with --jwks",
            code="keys_unreachable",
            exit_code=Exit.UNREACHABLE,
        ) from error


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"cannot read {path}: {error}", code="file_unreadable", exit_code=Exit.USAGE) from error
    except ValueError as error:
        raise CliError(f"{path} is not JSON: {error}", code="file_not_json", exit_code=Exit.USAGE) from error
