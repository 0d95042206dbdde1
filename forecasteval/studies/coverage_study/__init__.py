"""How often the intervals hold the truth: simulated pilots whose truth is known, one cell of a design at a time."""
