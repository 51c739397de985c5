"""Bounded replays of history: topics and Parquet through the live engine, and what other models would have done."""
