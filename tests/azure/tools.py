"""Checks that are other programs'."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import yaml  # type: ignore[import-untyped, unused-ignore]

ENVIRONMENTS = ("dev", "prod")
_BLOCK = re.compile(r"^(?:resource|data|provider|terraform)\b[^\n]*\{(?:}|\n.*?^})\n", re.MULTILINE | re.DOTALL)
_ATTRIBUTE = re.compile(r"\b(?:data\.)?azurerm_\w+\.\w+(?:\[[^\]]+\])?(?:\.\w+|\[\d+\])+")
_RULES_MAX = 20  # Azure takes no more in a group
_CHECKOV_LEAST = 50  # checks that must have passed: fewer, and checkov read something else than our files


class NotHere(Exception):
    """The program is not on this machine."""


def terraform_format(root: Path) -> list[str]:
    """The files that `terraform fmt` would write differently."""
    done = _terraform("fmt", "-check", "-recursive", str(root / "infra" / "azure"))
    return done.stdout.split() if done.returncode else []


def terraform_values(root: Path) -> list[str]:
    """What Terraform finds wrong with variables, locals and outputs under the values of each environment."""
    problems = []
    for environment in ENVIRONMENTS:
        outputs, errors = _outputs(root, environment)
        problems += [f"{environment}.tfvars: {line}" for line in errors]
        groups: dict[str, int] = outputs.get("rule_groups", {})
        problems += [f"{name}: {count} rules" for name, count in groups.items() if count > _RULES_MAX]
        for name in ("gateway_manifest", "backups_manifest"):
            manifests = list(yaml.safe_load_all(outputs.get(name, "")))
            problems += [f"{name}: no object: {each}" for each in manifests if not {"kind", "metadata"} <= set(each)]
    return problems


def chart_values(root: Path) -> list[str]:
    """Where the output `helm_values`, over the chart's own values, is not what the chart takes."""
    chart = root / "infra" / "helm" / "waybill"
    if not chart.is_dir():
        raise NotHere("no chart in infra/helm/waybill")
    defaults = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    problems = []
    for environment in ENVIRONMENTS:
        outputs, _ = _outputs(root, environment)
        values = _merged(defaults, yaml.safe_load(outputs["helm_values"]))
        problems += [
            f"{environment}: {error.json_path}: {error.message}"
            for error in jsonschema.Draft202012Validator(schema).iter_errors(values)
        ]
    return problems


def checkov(root: Path) -> list[str]:
    """What checkov finds that tests/azure/checkov.yaml does not skip with a reason."""
    command = [
        str(Path(sys.prefix).with_name("checkov") / "bin" / "checkov"),
        f"--config-file={root / 'tests' / 'azure' / 'checkov.yaml'}",
        f"--directory={root / 'infra' / 'azure'}",
        f"--var-file={root / 'infra' / 'azure' / 'prod.tfvars'}",
        "--output=json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LOG_LEVEL": "ERROR"}, check=False)
    results = json.loads(done.stdout)
    passed = results["summary"]["passed"]
    few = [f"only {passed} checks of checkov passed"] if passed < _CHECKOV_LEAST else []
    return few + [
        f"{each['check_id']} {each['resource']}: {each['check_name']}" for each in results["results"]["failed_checks"]
    ]


def workflows(root: Path) -> list[str]:
    """What actionlint, zizmor and shellcheck find in the workflows and in the actions that they use."""
    github = root / ".github"
    files = sorted(map(str, github.glob("workflows/*.yml")))
    actions = sorted(map(str, github.glob("actions/*/action.yml")))
    programs = Path(sys.prefix) / "bin"
    shellcheck = str(programs / "shellcheck")
    scripts = sorted(str(path) for path in github.glob("actions/*/*") if path.suffix != ".yml")
    quiet = ("--offline", "--no-progress", "--quiet", "--format=plain", "--min-severity=medium")
    commands = (
        (str(programs / "actionlint"), "-oneline", "-shellcheck", shellcheck, *files),
        (str(programs / "zizmor"), *quiet, *files, *actions),
        (shellcheck, *scripts),
    )
    problems = []
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            problems += (done.stdout + done.stderr).splitlines()
    return problems


def _terraform(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("terraform")
    if program is None:
        raise NotHere("no terraform on this machine")
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def _outputs(root: Path, environment: str) -> tuple[dict[str, Any], list[str]]:
    """The outputs under an environment's values, and Terraform's errors.

    A copy without resources is planned, in which each of their attributes is a constant: that needs neither the
    provider nor a network, and Terraform evaluates all the rest.
    """
    infra = root / "infra" / "azure"
    with tempfile.TemporaryDirectory() as copy:
        folder = Path(copy) / "azure"
        folder.mkdir()
        for path in infra.glob("*.tf"):
            text = _ATTRIBUTE.sub(_constant, _BLOCK.sub("", path.read_text("utf-8")))
            (folder / path.name).write_text(text, encoding="utf-8")
        shutil.copytree(infra / "templates", folder / "templates")
        # The rules, which it reads from the chart.
        shutil.copytree(root / "infra" / "helm" / "waybill" / "files", folder.parent / "helm" / "waybill" / "files")
        _terraform("init", "-backend=false", "-input=false", folder=folder)
        values = [f"-var-file={infra / name}" for name in ("company.auto.tfvars.example", f"{environment}.tfvars")]
        done = _terraform("plan", "-input=false", "-no-color", "-out=plan", *values, folder=folder)
        if done.returncode:
            return {}, [line.strip("│╷╵ ") for line in done.stderr.splitlines() if line.strip("│╷╵ ")]
        shown = json.loads(_terraform("show", "-json", "plan", folder=folder).stdout)
        return {name: each["value"] for name, each in shown["planned_values"]["outputs"].items()}, []


def _constant(attribute: re.Match[str]) -> str:
    return '"https://example.com"' if attribute[0].endswith("_endpoint") else '"00000000-0000-4000-8000-000000000000"'


def _merged(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: _merged(below.get(key), value) for key, value in above.items()}
