"""Loads that the unit costs were not measured with: what the model says of them, and what they then cost."""

import os
import secrets
from typing import TYPE_CHECKING, Any

from core.kit.processes import Process as Kind
from tests.bench.unit_costs import resources
from waybill.capacity.load import Load, PoolLoad
from waybill.capacity.model import drivers_of
from waybill.capacity.units import RESOURCES, Units, measured_units

if TYPE_CHECKING:
    from tests.bench.units import Bench

_SECONDS = 20
_WORKERS = 2
_POOLS = 7


def predict(load: Load, units: Units) -> dict[str, float]:
    """What the model says that `load` uses a second, on this benchmark's processes."""
    drivers = drivers_of(load, units)
    return {
        name: units.used(name, drivers) + units.idle[name] + _WORKERS * units.idle_worker[name] for name in RESOURCES
    }


def validate(made: "Bench") -> list[dict[str, Any]]:
    """For each load: what was predicted, what was measured, a second, and the error in percent of what was measured."""
    units = measured_units()
    made.start_dispatcher()
    made.start(Kind.DELIVERER, "workers", "deliverer", until="deliverer_started")
    made.start_worker()
    made.start_worker("other")
    note = secrets.token_urlsafe(3000)[:3000]
    mixed = made.target(act="spend", calls=3, used_tokens=50, note=note, webhook=made.hook)
    loads = {
        "40 small jobs a second": (40, made.target(), {}),
        "10 small jobs a second": (10, made.target(), {}),
        "15 jobs a second of 3 model calls, 6 kB and a webhook": (
            15,
            mixed,
            {"model_calls": 3, "payload_kb": 6, "webhooks": 1},
        ),
        "10 jobs a second of 40 deltas": (10, made.target(act="stream", chunks=40, seconds=0.005), {"deltas": 40}),
    }
    found = []
    for name, (rate, target, given) in loads.items():
        made.say(name)
        reading = made.load(target, rate, _SECONDS)
        measured = {key: value / reading["seconds"] for key, value in resources(reading).items() if key != "looks"}
        # A run takes a little longer than its submissions.
        submitted = reading["jobs"] / reading["seconds"]
        pools = {f"pool {number}": PoolLoad(1 / _POOLS, 0.3 if "deltas" in given else 0.0) for number in range(_POOLS)}
        basis = {"payload_kb": 0, "model_calls": 0, "deltas": 0, "webhooks": 0}
        predicted = predict(Load(submitted * 60, pools, **{**basis, **given}), units)
        found.append(
            {
                "load": name,
                "load_average": round(os.getloadavg()[0], 1),
                "resources": {
                    key: {
                        "predicted": _short(predicted[key]),
                        "measured": _short(measured[key]),
                        "error_percent": round(100 * (predicted[key] / measured[key] - 1)) if measured[key] else None,
                    }
                    for key in RESOURCES
                },
            }
        )
    return found


def _short(value: float) -> float:
    return float(f"{value:.3g}")
