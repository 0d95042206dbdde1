"""The tidy tables: schemas, checks, calendar, settings, the organisation."""
