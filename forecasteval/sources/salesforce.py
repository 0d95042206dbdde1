"""Salesforce: API and Bulk exports, snake_case copies of data pipelines, and report CSVs, read alike."""

from __future__ import annotations

from pathlib import Path

from forecasteval.sources._crm_export import read_export
from forecasteval.sources.dialect import dialect_of
from forecasteval.sources.raw import assemble
from forecasteval.tables.organisation import Org
from forecasteval.tables.settings import Settings


def import_folder(export_dir: str | Path, settings: Settings | None = None) -> Org:
    """The tidy tables of a Salesforce export.

    Parameters
    ----------
    export_dir : folder with ``Opportunity.csv``; and, for the past, ``OpportunityHistory.csv`` and
        ``OpportunityFieldHistory.csv``, or dated copies (``2026-02-02/Opportunity.csv`` or
        ``Opportunity_2026-02-02.csv``). ``OpportunityStage.csv``, ``User.csv``, ``stage_renames.csv``,
        ``organisation.yaml``, ``calendar.csv``, ``calls.csv`` and ``forecasts/*.csv`` are taken along
    settings : used instead of the folder's ``organisation.yaml``

    Raises
    ------
    InputError
        Lists every problem of every file.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "Opportunity.csv").write_text(
    ...     "Id,StageName,CloseDate,IsClosed,IsWon\\nD1,Won,2026-02-03,true,true\\n")
    >>> org = import_folder(place)
    >>> org.deals["outcome"].tolist(), org.history is None
    (['won'], True)
    """
    return assemble(read_export(Path(export_dir), dialect_of("salesforce"), settings))
