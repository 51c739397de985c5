"""Payments and attacks that look like the real thing, with labels: a pure function of a seed and a stretch of time."""
