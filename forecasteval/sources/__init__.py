"""Anything that becomes tidy tables."""
