"""How large a pilot has to be."""
