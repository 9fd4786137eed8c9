"""Intervals of signals, and tests that find when they change. Pure."""
