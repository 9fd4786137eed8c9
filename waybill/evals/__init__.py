"""Measures quality on third-party data sets."""

from waybill.evals.cli import app

__all__ = ["app"]
