"""Future and hypothetical costs: quotes, forecasts, anomalies and backtests."""
