"""Checks against observability backends that this repository does not depend on: ``make observe-traces``."""
