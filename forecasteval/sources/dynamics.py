"""Dynamics 365 Sales: opportunities by logical or display name, and the audit of their changes."""

from __future__ import annotations

from forecasteval.sources.dialect import dialect_of

DYNAMICS = dialect_of("dynamics")
