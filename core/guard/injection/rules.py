"""Patterns that attacks share whatever they are about: each is a feature of the model, and a few decide alone."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from core.guard.injection.normalize import fold
from core.kit.expressions import Expression


@dataclass(frozen=True, slots=True)
class Form:
    """A form, and the minimum score of a text that has it: 0 where the model decides."""

    name: str
    expression: Expression
    least_score: float = 0.0


def forms_in(folded: str) -> list[int]:
    """The indexes in `FORMS` of the forms that a folded text has."""
    return [place for place, form in enumerate(FORMS) if form.expression.is_in(folded)]


def _read() -> Iterator[Form]:
    read = tomllib.loads(files(__package__).joinpath("forms.toml").read_text(encoding="utf-8"))
    for form in read["forms"]:
        expression = form["expression"]
        for name, part in read["parts"].items():
            expression = expression.replace(f"{{{name}}}", part)
        # Letters of other alphabets lose their accents in folded text.
        expression = expression if expression.isascii() else fold(expression)
        yield Form(form["name"], Expression(expression), form.get("least_score", 0.0))


FORMS = tuple(_read())
