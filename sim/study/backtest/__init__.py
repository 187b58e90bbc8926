"""``python -m sim backtest``: half of a log, predicted from the other half."""
