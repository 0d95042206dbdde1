"""Whose forecasts are better."""
