"""``python -m tests.outside [CLIENT…]``: outside clients of OpenAI's interface against a running stack.

Each client is installed in an environment of its own under ``build/outside`` and runs there, without anything of ours;
the provider behind the stack is the simulator. Prints a table of what passed and what was refused by name, writes it to
``build/outside.md``, and exits with 1 when anything else came of a case.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console

from core.kit.migrate import upgrade
from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.factories.openai_stack import OpenAIStack, openai_stack
from tests.factories.processes import ROOT
from tests.factories.provider_simulator import Answer, Recorded, Script, ToolUse, example_of, obey_schema
from tests.outside.clients.cases import MODEL
from waybill.stack.postgres import EmbeddedPostgres
from waybill.stack.valkey import EmbeddedValkey

FOLDER = ROOT / "build" / "outside"
SCRIPTS = Path(__file__).parent / "clients"
# Newest versions, because those are what users install today.
CLIENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "openai 2.x": ("openai_sdk.py", ("openai>=2,<3",)),
    "openai 3.x": ("openai_sdk.py", ("openai>=3,<4",)),
    "langchain-openai": ("langchain_client.py", ("langchain-openai", "langchain")),
    "llama-index": (
        "llama_index_client.py",
        ("llama-index-llms-openai", "llama-index-llms-openai-like", "llama-index-embeddings-openai-like"),
    ),
    "openai-agents": ("openai_agents_client.py", ("openai-agents",)),
    "instructor": ("instructor_client.py", ("instructor",)),
    "litellm": ("litellm_client.py", ("litellm",)),
    "pydantic-ai": ("pydantic_ai_client.py", ("pydantic-ai-slim[openai]",)),
    "crewai": ("crewai_client.py", ("crewai",)),
    "openapi-python-client": ("generated_client.py", ("openapi-python-client",)),
    # Packages of npm; left out where there is no Node.js.
    "npm ai": ("aisdk_client.mjs", ("ai", "@ai-sdk/openai", "@ai-sdk/openai-compatible", "zod")),
    "npm generators": (
        "generated_client.mjs",
        ("@hey-api/openapi-ts", "openapi-typescript", "openapi-fetch", "typescript@5", "tsx", "@types/node"),
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """What became of one thing that a client tried."""

    client: str
    name: str
    outcome: str
    detail: str


def main(names: Sequence[str]) -> int:
    """Run the clients whose names begin with one of `names`, or all."""
    console = Console(width=160 if not sys.stdout.isatty() else None)
    wanted = [client for client in CLIENTS if not names or client.startswith(tuple(names))]
    if shutil.which("npm") is None:
        wanted = [client for client in wanted if not CLIENTS[client][0].endswith(".mjs")]
    if not wanted:
        console.print(f"no client of that name; there are {', '.join(CLIENTS)}")
        return 2
    cases: list[Case] = []
    with running_stack() as stack:
        for client in wanted:
            console.print(f"{client} …")
            cases += run(client, stack)
    table = draw(cases)
    (ROOT / "build" / "outside.md").write_text(table, encoding="utf-8")
    console.print(table, markup=False)
    failed = [case for case in cases if case.outcome == "failed"]
    for case in failed:
        console.print(f"FAILED {case.client}: {case.name}: {case.detail}", markup=False)
    return 1 if failed else 0


def run(client: str, stack: OpenAIStack) -> list[Case]:
    """Install the client, run its script, and read what it says of each case."""
    script, requirements = CLIENTS[client]
    prepare = install_for_node if script.endswith(".mjs") else install
    command, version = prepare(client.replace(" ", "-"), requirements, SCRIPTS / script)
    given = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}},
        "OPENAI_BASE_URL": stack.base_url,
        "OPENAI_API_KEY": stack.api.key.plaintext,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    done = subprocess.run(
        command,
        cwd=Path(command[-1]).parent,
        env=given,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    said = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("CASE ")]
    found = [Case(version, each["case"], each["outcome"], each["detail"]) for each in said]
    if done.returncode or not found:
        last = (done.stderr.strip().splitlines() or ["said nothing"])[-1]
        found.append(Case(client, "the script itself", "failed", last))
    return found


def install(name: str, requirements: Sequence[str], script: Path) -> tuple[list[str | Path], str]:
    """An environment under ``build/outside`` with the requirements: how the script is run, and a version."""
    folder = FOLDER / name
    uv = Path(sys.executable).parent / "uv"
    if not (folder / "bin" / "python").exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--upgrade", *requirements],
        env={**os.environ, "VIRTUAL_ENV": str(folder)},
        check=True,
    )
    python = folder / "bin" / "python"
    package = re.split(r"[>\[]", requirements[0])[0]
    code = f"from importlib.metadata import version; print(version({package!r}))"
    version = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return [python, script], f"{package} {version}"


def install_for_node(name: str, packages: Sequence[str], script: Path) -> tuple[list[str | Path], str]:
    """The same with npm. Node.js looks for packages beside the script, so that is copied there."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", *packages], cwd=folder, check=True)
    found = json.loads((folder / "node_modules" / packages[0] / "package.json").read_text(encoding="utf-8"))
    return ["node", shutil.copy(script, folder)], f"{packages[0]} {found['version']} (npm)"


def draw(cases: Sequence[Case]) -> str:
    """The table, as Markdown."""
    lines = ["| client | passed | refused by name |", "|---|---|---|"]
    for client in dict.fromkeys(case.client for case in cases):
        own = [case for case in cases if case.client == client]
        passed = [case.name for case in own if case.outcome == "passed"]
        refused = [f"{case.name}: `{case.detail}`" for case in own if case.outcome == "refused"]
        lines.append(f"| `{client}` | {len(passed)}: {'; '.join(passed)} | {'; '.join(refused)} |")
    return "\n".join(lines) + "\n"


def play(request: Recorded) -> Script:
    """A model that obeys: it calls the tool that it is given, once, and writes what a schema asks for."""
    body = request.body
    tools = body.get("tools") or []
    choice = body.get("tool_choice", "auto")
    if tools and choice != "none" and body["messages"][-1]["role"] != "tool":
        named = choice["function"]["name"] if isinstance(choice, dict) else tools[0]["function"]["name"]
        function = next(tool["function"] for tool in tools if tool["function"]["name"] == named)
        return Answer(tool_calls=(ToolUse(named, example_of(function.get("parameters") or {}) or {}),))
    return obey_schema(request) if body.get("response_format") else Answer("It", " is", " sunny.")


@contextmanager
def running_stack() -> Iterator[OpenAIStack]:
    """Postgres, Valkey, the API, a dispatcher and a worker, for the length of the block."""
    folder = Path(tempfile.mkdtemp(prefix="waybill-outside-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = EmbeddedPostgres(folder / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        valkey = EmbeddedValkey(folder / "valkey")
        valkey.start()
        stack.callback(valkey.stop)
        upgrade(postgres.url)
        settings = Settings(
            home=folder,
            database_url=SecretStr(postgres.url),
            redis_url=SecretStr(valkey.url),
            secret_key=SecretStr(secrets.token_urlsafe(32)),
            signing_key=SecretStr(generate_seed()),
            log_level="warning",
        )
        yield stack.enter_context(openai_stack(settings, "models", script=play, model=MODEL))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
