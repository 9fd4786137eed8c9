"""Backtests: the effect that a budget, a limit or a price would have had on past jobs."""
