"""Matched deals in, a comparison with verdicts out."""
