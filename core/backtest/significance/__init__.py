"""Is a backtest's result more than luck: paired comparison, deflated Sharpe ratio, backtest overfitting."""
