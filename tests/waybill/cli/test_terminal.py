"""A terminal obeys what it is shown: whatever comes from others is neutralized, by every command."""

import ast
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.kit.logging import configure_logging, get_logger
from core.kit.settings import Settings
from core.kit.terminal import escape, neutralize
from tests.factories.api import RunningApi
from tests.waybill.cli.conftest import Cli
from waybill.cli.output import Output, open_console, open_stdout, to_json

ROOT = Path(__file__).resolve().parents[3]
TITLE, CLEAR, CSI, TURN = "\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "\u202e"
HOSTILE = f"a{TITLE}b{CLEAR}c{CSI}d{TURN}e\x7ff\x08g\rh\u2028i"
OBEYED = (*(chr(code) for code in (*range(9), 11, 12, *range(13, 32), *range(127, 160))), TURN, "\u2028", "\u2066")
# What may print, and why it may do so without passing through `waybill.cli.output`.
ALLOWED = {
    "waybill/cli/output.py": "the place itself",
    "waybill/cli/main.py: typer.echo": "our own version",
    "waybill/cli/sample_system.py: typer.echo": "a file of ours",
    "waybill/cli/failures.py: sys.stderr.write": "neutralized there",
    "waybill/stack/fork_server.py: sys.stderr.write": "commands of ours, into its log",
}


def obeyed(text: str) -> list[str]:
    return [character for character in text if character in OBEYED]


def printing(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout.buffer", "sys.stderr.buffer"}:
            yield ast.unparse(node)
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in {"print", "Console", "rich.print", "pprint", "sys.stdout.write", "sys.stderr.write", "os.write"}:
            yield name
        if name.rpartition(".")[2] in {"echo", "secho", "print_exception", "print_exc", "writelines", "print_json"}:
            yield name


def test_nothing_prints_but_through_the_one_place() -> None:
    found = set()
    for file in sorted((ROOT / "waybill").rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        # The client is a library; its generators are for those who develop it.
        if name in ALLOWED or name.startswith("waybill/client/"):
            continue
        found |= {f"{name}: {how}" for how in printing(ast.parse(file.read_text(encoding="utf-8")))}
    assert found - ALLOWED.keys() == set(), "print with waybill.cli.output"


@pytest.mark.parametrize("character", OBEYED)
def test_each_such_character_becomes_visible_and_survives_in_json(character: str) -> None:
    text = f"a{character}b"
    assert not obeyed(neutralize(text))
    assert neutralize(text) == neutralize(neutralize(text))
    assert not obeyed(to_json({"k": text}))
    assert json.loads(to_json({"k": text})) == {"k": text}
    assert json.loads(escape(json.dumps({text: text}, ensure_ascii=False))) == {text: text}


def test_ordinary_text_is_left_alone() -> None:
    plain = "tab\tnewline\nwindows\r\n\u05e9\u05dc \u200f\u0639\u0631 日本 👩\u200d👧 é"
    assert neutralize(plain) is plain


def shown_as_text(output: Output) -> None:
    output.show(HOSTILE)
    output.note(HOSTILE, style="red")
    output.write(HOSTILE)


def shown_in_a_table(output: Output) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from waybill.cli.tables import table

    made = table("NAME", HOSTILE)
    made.add_row(HOSTILE, Text.assemble((HOSTILE, "bold"), HOSTILE))
    output.show(made, Padding(Text(HOSTILE), (0, 2)), Text.from_markup(f"[red]{HOSTILE}"))


def shown_as_json(output: Output) -> None:
    output.document({"k": [HOSTILE], HOSTILE: 1})
    output.record({"k": HOSTILE})


@pytest.mark.parametrize("shown", [shown_as_text, shown_in_a_table, shown_as_json])
def test_every_way_to_show_neutralizes(shown: Callable[[Output], None], capsys: pytest.CaptureFixture[str]) -> None:
    shown(Output())
    captured = capsys.readouterr()
    assert "owned" in captured.out
    assert not obeyed(captured.out + captured.err)


def test_an_audit_action_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    from waybill.cli.tables import table

    made = table("ACTION")
    made.add_row("api:key:create")
    Output().show(made)
    assert "api:key:create" in capsys.readouterr().out


def test_a_live_picture_and_a_progress_bar_on_a_terminal() -> None:
    from rich.live import Live
    from rich.progress import Progress, TextColumn
    from rich.text import Text

    stream = io.StringIO()
    console = open_console(stream, force_terminal=True)
    with Live(console=console, get_renderable=lambda: Text(HOSTILE)) as live:
        live.console.print(HOSTILE, markup=False)
    with Progress(TextColumn("{task.description}"), TextColumn("{task.fields[file]}"), console=console) as bars:
        bars.add_task(HOSTILE, total=1, file=HOSTILE)
    drawn = stream.getvalue()
    assert "owned" in drawn
    assert not any(sequence in drawn for sequence in (TITLE, CLEAR, CSI, TURN, "\x07", "\x9b", "\x7f"))


def test_a_file_is_shown_safely_on_a_terminal_and_goes_unchanged_into_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, pipe = Terminal(), io.TextIOWrapper(io.BytesIO())
    body = HOSTILE.encode()
    monkeypatch.setattr(sys, "stdout", terminal)
    out = open_stdout()
    # Pieces may end in the middle of a character.
    for number in range(len(body)):
        out.write(body[number : number + 1])
    assert terminal.getvalue() == neutralize(HOSTILE)
    monkeypatch.setattr(sys, "stdout", pipe)
    open_stdout().write(body)
    assert pipe.buffer.getvalue() == body


@pytest.mark.parametrize("form", ["json", "console"])
def test_logs_on_a_terminal(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure_logging(Settings(log_format=form), service="test")
    get_logger("x").warning("seen", path=HOSTILE, error=f"what came was {HOSTILE}")
    logging.getLogger("y").warning("theirs: %s", HOSTILE)
    written = capsys.readouterr().err
    assert written.count("owned") == 3
    assert not obeyed(written.replace("\x1b[0m", ""))


# Each shows something that others have named or written.
COMMANDS = (
    ("jobs", "get", "{job}"),
    ("kb", "list"),
    ("projects", "list"),
    ("keys", "list"),
    ("webhooks", "list"),
)


def test_what_others_have_named_is_shown_safely(cli: Cli, api: RunningApi) -> None:
    name = f"owned{CSI}{TURN}"
    with api.client() as client:
        job = client.post(
            "/v1/jobs",
            json={
                "capability": "probe.act",
                "input": {"act": "noop", "note": HOSTILE},
                "metadata": {"ticket": HOSTILE},
            },
        )
        assert job.status_code == 202, job.text
        for path, body in (
            ("/v1/knowledge-bases", {"name": "base", "description": HOSTILE}),
            ("/v1/projects", {"name": name, "labels": {"team": name}, "owner": name}),
            ("/v1/keys", {"name": name}),
            (
                "/v1/webhook-endpoints",
                {"url": "https://93.184.215.14/", "events": ["job.failed"], "description": name},
            ),
        ):
            made = client.post(path, json=body)
            assert made.status_code == 201, f"{path}: {made.text}"
    for command in COMMANDS:
        asked = [part.format(job=job.json()["id"]) for part in command]
        for extra in ([], ["--json"]):
            result = cli(*asked, *extra)
            assert not obeyed(result.stdout + result.stderr), asked
            # Of these two a person sees nothing that others wrote; their JSON holds it.
            assert "owned" in result.stdout or (command[0] in {"jobs", "webhooks"} and not extra), asked
    refused = cli("jobs", "show", f"job_{HOSTILE}")
    assert not obeyed(refused.stdout + refused.stderr)
