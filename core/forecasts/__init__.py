"""What things will cost, and what would have happened: quotes, forecasts, anomalies, backtests."""
