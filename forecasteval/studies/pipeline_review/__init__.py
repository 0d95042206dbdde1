"""Pipeline review: what fell off its own past, for a person to look at."""
