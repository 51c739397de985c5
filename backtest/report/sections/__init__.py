"""The sections of a backtest's page: what was found, with its pictures and the words that explain it."""
