"""How many closed deals a model needs."""
