"""Is one of them better by now."""
