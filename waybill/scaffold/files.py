"""The files of a new capability's package, as templates; ``$name`` and its like are filled in."""

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "The capability $id for Waybill."
requires-python = ">=3.11"
dependencies = ["waybill"]

[project.entry-points."waybill.capabilities"]
$folder = "$package.manifest:$constant"

[tool.hatch.build.targets.wheel]
packages = ["$package"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""
MANIFEST = '''\
"""What can be asked for. The API loads this and the schemas: import only pydantic and `core.capability` here."""

from core.capability import Manifest
from $package.schemas import ${title}Input, ${title}Output

$constant = Manifest(
    id="$id",
    version="1",
    title="$words",
    description="Counts the words of a text. Say here what yours does.",
    input=${title}Input,
    output=${title}Output,
    entry="$package.runner:build",
    examples=({"text": "one two three"},),
)
'''
SCHEMAS = '''\
"""What goes in, and what comes out. The API publishes both as JSON Schema."""

from pydantic import BaseModel, ConfigDict, Field


class ${title}Input(BaseModel):
    """A job's input."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=100_000, description="What to look at.")


class ${title}Output(BaseModel):
    """A job's result."""

    words: int
    longest: str
'''
RUNNER = '''\
"""How it is done. Loaded by workers only, once per process; `run` is called in several threads."""

from pydantic import BaseModel

from core.capability import JobContext
from core.kit.errors import CapabilityFailure
from $package.schemas import ${title}Input, ${title}Output


class Runner:
    """Implements `core.capability.Runner`."""

    def run(self, ctx: JobContext, payload: ${title}Input) -> BaseModel:
        """Do the work. Raises `CapabilityFailure` for what is expected to go wrong; anything else is tried again."""
        with ctx.step("read"):
            words = payload.text.split()
        if not words:
            raise CapabilityFailure("there is no word in this text", code="nothing_to_count")
        with ctx.step("count"):
            longest = ""
            for word in words:
                # Ends the attempt when the job was cancelled. Free: call it in every loop.
                ctx.check()
                longest = max(longest, word, key=len)
        return ${title}Output(words=len(words), longest=longest)


def build() -> Runner:
    """The entry point that the manifest names."""
    return Runner()
'''
TEST = '''\
"""The capability without a worker: its manifest, its schemas, its runner."""

from contextlib import contextmanager

import pytest
from pydantic import ValidationError

from core.kit.errors import CapabilityFailure
from $package.manifest import $constant


class Context:
    """As much of `core.capability.JobContext` as this capability uses."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def check(self) -> None:
        """Nothing interrupts a test."""

    @contextmanager
    def step(self, name: str):
        yield
        self.steps.append(name)


def run(**given):
    ctx = Context()
    output = $constant.load().run(ctx, $constant.input.model_validate(given))
    return $constant.output.model_validate(output.model_dump()), ctx


def test_the_examples_are_answered():
    for example in $constant.examples:
        run(**example)


def test_words_are_counted_step_by_step():
    output, ctx = run(text="one three two")
    assert (output.words, output.longest) == (3, "three")
    assert ctx.steps == ["read", "count"]


def test_what_cannot_be_done_says_why():
    with pytest.raises(CapabilityFailure) as failure:
        run(text="   ")
    assert failure.value.code == "nothing_to_count"
    with pytest.raises(ValidationError):
        run(text="")
'''
README = """\
# $id

```sh
pip install -e .
python -m pytest
waybill up                                            # starts a pool `$folder` beside the others
waybill jobs submit $id --input '{"text": "one two three"}' --watch
```

`$package/schemas.py` says what goes in and out, `$package/runner.py` does it, `$package/manifest.py` publishes it.
What a running job may do (ask a model or a person, call other capabilities, leave files behind) is
`core.capability.JobContext`.
"""
FILES = {
    "pyproject.toml": PYPROJECT,
    "README.md": README,
    "$package/__init__.py": '"""The capability $id."""\n',
    "$package/manifest.py": MANIFEST,
    "$package/schemas.py": SCHEMAS,
    "$package/runner.py": RUNNER,
    "tests/test_$folder.py": TEST,
}
