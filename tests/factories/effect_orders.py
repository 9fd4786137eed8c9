"""What `tests.factories.effect_child` is ordered to do."""

import json
from dataclasses import asdict, dataclass

BOUNDARIES = ("before intent", "after intent", "after call", "after receipt", "never")


@dataclass(frozen=True, slots=True)
class Order:
    """What a fork is to do: the effect of `operation` in the job, over `framework`, up to `boundary`."""

    job: str
    url: str
    operation: str
    reference: str
    framework: str
    boundary: str


def line_of(order: Order) -> str:
    """An order as the program reads it."""
    return json.dumps(asdict(order))
