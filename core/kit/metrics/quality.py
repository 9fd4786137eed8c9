"""Whether answers get worse, as the dispatcher's periodic task last saw it."""

from core.kit.metrics.families import gauge

QUALITY_ALERTS_OPEN = gauge(
    "waybill_quality_alerts_open",
    "Open quality alerts of all organizations, neither acknowledged nor closed.",
    ("capability", "signal"),
    by=("dispatcher",),
    mode="mostrecent",
)
