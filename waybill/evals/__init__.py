"""Measuring quality on data sets that nobody here wrote."""

from waybill.evals.cli import app

__all__ = ["app"]
