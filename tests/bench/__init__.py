"""Benchmarks against a naive baseline. ``make bench`` runs them all and writes ``build/bench.json``."""
