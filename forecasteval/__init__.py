"""Measure deal forecasts against each other, with intervals."""
