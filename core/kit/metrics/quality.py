"""Whether answers get worse, as the dispatcher's periodic task last saw it."""

from core.kit.metrics.families import gauge

QUALITY_ALERTS_OPEN = gauge(
    "waybill_quality_alerts_open",
    "Quality alerts that no one has acknowledged or closed, over all organizations.",
    ("capability", "signal"),
    by=("dispatcher",),
    mode="mostrecent",
)
