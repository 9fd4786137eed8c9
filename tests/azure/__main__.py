"""``make azure-test``: check infra/azure and .github/workflows without an Azure subscription.

Nothing here speaks to Azure, and nothing is applied. What a check finds is printed; each check is then run again on
copies with one fault planted, and fails if it does not find it. Exits with 1 if anything failed.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.azure import faults
from tests.azure.configuration import Configuration
from tests.azure.faults import Fault
from tests.azure.schema import Schema
from tests.azure.tools import (
    ENVIRONMENTS,
    NotHere,
    chart_values,
    checkov,
    terraform_format,
    terraform_values,
    workflows,
)
from tests.azure.validation import problems, sizes

ROOT = Path(__file__).parents[2]
Check = Callable[[Path], list[str]]


def main() -> int:
    """Run all checks and return the exit code."""
    version = (ROOT / "tests" / "azure" / "schema.in").read_text(encoding="utf-8").strip().rpartition("==")[2]
    schema = Schema.from_wheel(ROOT / "build" / "azure" / f"cdktn_provider_azurerm-{version}-py3-none-any.whl")

    def schema_check(root: Path) -> list[str]:
        return problems(Configuration(root / "infra" / "azure"), schema, [f"{each}.tfvars" for each in ENVIRONMENTS])

    checks: tuple[tuple[str, Check, Sequence[Fault]], ...] = (
        ("formatting (terraform fmt)", terraform_format, [faults.FORMAT_FAULT]),
        (f"arguments and references (azurerm {schema.version})", schema_check, faults.SCHEMA_FAULTS),
        ("variables, locals and outputs (terraform plan without resources)", terraform_values, faults.VALUE_FAULTS),
        ("values for the chart (its schema)", chart_values, [faults.CHART_FAULT]),
        ("sizes (docs/reference/azure-sizing.md)", sizes, [faults.SIZE_FAULT]),
        ("security (checkov)", checkov, [faults.CHECKOV_FAULT]),
        ("workflows (actionlint, zizmor, shellcheck)", workflows, faults.WORKFLOW_FAULTS),
    )
    failed = 0
    for name, check, planted in checks:
        try:
            found = check(ROOT)
        except NotHere as reason:
            _say(f"- {name}: not checked: {reason}")
            continue
        missed = [fault.name for fault in planted if not _finds(check, fault)]
        found += [f"planted and not found: {each}" for each in missed]
        failed += bool(found)
        _say(
            f"{'✗' if found else '✓'} {name}: {len(found)} problems, {len(planted) - len(missed)} planted faults found"
        )
        for line in found:
            _say(f"    {line}")
    return 1 if failed else 0


def _finds(check: Check, fault: Fault) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".git").mkdir()  # actionlint looks for actions below it
        for part in ("infra", ".github", "tests/azure", "docs/reference"):
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns(".terraform*"))
        file = root / fault.file
        before = file.read_text(encoding="utf-8")
        if fault.text not in before:
            raise ValueError(f"{fault.name}: {fault.file} does not hold {fault.text!r}")
        file.write_text(before.replace(fault.text, fault.planted, 1), encoding="utf-8")
        return any(fault.expected in line for line in check(root))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
