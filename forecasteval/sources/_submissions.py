"""Forecasts that people submitted, as calls: from a CRM's own objects, or from the long form of a Clari export."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from forecasteval.sources.dialect import Dialect, Fields
from forecasteval.sources.raw import Raw
from forecasteval.tables import calendar
from forecasteval.tables.columns import Sheet
from forecasteval.tables.schemas import canonical

_CLARI = {
    "unit_id": ("CRM User ID",), "name": ("User",), "period": ("Timeframe",), "level": ("Field",),
    "starts_on": ("Start Day",), "as_of": ("End Day",), "what": ("Data Type",), "value": ("Data Value",),
}  # fmt: skip
_NO_FORECAST = "closed"  # of a level: it is booked already


def is_clari(headers: list[str]) -> bool:
    """Whether a file has the headers of the long form."""
    return {"Timeframe", "Field", "Data Type", "Data Value"} <= set(headers)


def add_calls(raw: Raw, dialect: Dialect, sheets: Mapping[str, Sheet], owners: set[str]) -> None:
    """Add the submissions of an export to its calls; ``owners`` of deals speak for themselves, others for a team."""
    parts = [_of_crm(dialect, sheets), _of_clari(dialect, sheets.get("clari"))]
    rows = pd.concat([part for part in parts if part is not None], ignore_index=True)
    names = raw.id_of_name()
    rows["name"] = rows["name"].astype("str")
    by_name = rows["name"].map(names).astype("str").fillna(rows["name"])
    rows["unit_id"] = dialect.canonical_id(rows["unit_id"].astype("str")).fillna(by_name)
    if "as_of" not in rows:
        rows["as_of"] = pd.NaT
    submitted = rows["at"] if "at" in rows else pd.Series(pd.NaT, rows.index, dtype="datetime64[us]")
    rows["as_of"] = rows["as_of"].fillna(calendar.local_dates(submitted, raw.settings))
    periods = _calendar(raw, rows)
    own = pd.Series(pd.NA, rows.index, dtype="str") if "period" not in rows else rows["period"]
    rows["period"] = own.where(own.isin(periods["period"])).fillna(_period_of(periods, rows["starts_on"]))
    level = rows["level"].astype("str").map(_level, na_action="ignore").astype("str").fillna("")
    person = rows["unit_id"].isin(owners)
    forecaster = person.map({True: "rep_forecast", False: "manager_forecast"})
    beside = "" if level.nunique() < 2 else "_" + level.str.replace(r"\W+", "_", regex=True)
    rows = rows.assign(unit=person.map({True: "rep", False: "team"}), level=level.replace("", None))
    rows["forecaster"] = forecaster + pd.Series(beside, rows.index).where(~level.str.contains("commit"), "")
    usable = rows["amount"].notna() & rows["as_of"].notna() & rows["period"].notna() & level.ne(_NO_FORECAST)
    kept = rows[usable].sort_values("as_of", kind="stable")
    key = ["unit", "unit_id", "period", "as_of", "forecaster"]
    last = kept.drop_duplicates(key, keep="last")
    stale = int(last["updated"].eq("no").sum())
    raw.notes.append(
        f"Calls: {len(last):,} submissions were read; {len(rows) - len(kept):,} have no amount, day or period of the "
        f"calendar or tell what is closed, {len(kept) - len(last):,} were replaced on the same day"
        + (f", {stale:,} carry the last one on unchanged (updated: no)." if stale else ".")
    )
    columns = [*key, "amount", "level", *(["updated"] if last["updated"].notna().any() else [])]
    raw.tables["calls"] = canonical("calls", last[columns].reset_index(drop=True))


def _taken(dialect: Dialect, sheet: Sheet, names: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    fields = Fields(dialect, sheet, (), names)
    return pd.DataFrame(fields.taken(*fields.header))


def _of_crm(dialect: Dialect, sheets: Mapping[str, Sheet]) -> pd.DataFrame | None:
    """One row per submission and, where the items stand in a file of their own, category."""
    if "submissions" not in sheets:
        return None
    rows = _taken(dialect, sheets["submissions"], dialect.submission_fields)
    if "submission_items" in sheets:
        items = _taken(dialect, sheets["submission_items"], dialect.submission_fields)[
            ["submission", "amount", "level"]
        ]
        rows = rows.drop(columns=["amount", "level"], errors="ignore")
        rows = rows.merge(items, left_on="id", right_on="submission", how="inner")
    return rows.assign(
        **{name: None for name in ("name", "level", "amount") if name not in rows}, updated=None
    )


def _of_clari(dialect: Dialect, sheet: Sheet | None) -> pd.DataFrame | None:
    """The long form: a value and whether it was updated stand in rows of their own."""
    if sheet is None:
        return None
    rows = _taken(dialect, sheet, _CLARI)
    kind = rows.pop("what").str.lower()
    key = [name for name in ("unit_id", "name", "period", "level", "starts_on", "as_of") if name in rows]
    values = rows[kind == "forecast value"].drop(columns="value")
    amount = sheet.part(sheet.text("Data Value")[kind == "forecast value"]).numbers("Data Value")
    flags = rows[kind == "forecast updated"].rename(columns={"value": "updated"})
    flags = flags.drop_duplicates(key, keep="last").assign(updated=lambda t: t["updated"].str.lower())
    return values.assign(amount=amount).merge(flags[[*key, "updated"]], on=key, how="left")


def _calendar(raw: Raw, rows: pd.DataFrame) -> pd.DataFrame:
    given = raw.given.get("periods")
    if given is not None or rows["starts_on"].isna().all():
        return pd.DataFrame(columns=["period", "starts_on", "ends_on"]) if given is None else given
    first, last = rows["starts_on"].min(), rows["starts_on"].max()
    return calendar.fiscal_quarters(raw.settings.fiscal_year_start_month, first, last)


def _period_of(periods: pd.DataFrame, days: pd.Series) -> pd.Series:
    """The period in which each day lies."""
    found = pd.Series(pd.NA, days.index, dtype="str")
    for name, start, end in periods[["period", "starts_on", "ends_on"]].to_numpy():
        found = found.mask(days.between(start, end), name)
    return found


def _level(word: str | None) -> str | None:
    """CommitForecast, Monthly Commit or COMMIT as words.

    >>> [_level(word) for word in ("BestCaseForecast", "Monthly Commit", "ClosedOnly", None)]
    ['best case', 'monthly commit', 'closed', None]
    """
    if word is None:
        return None
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).lower()
    return re.sub(r"\s*(?:forecast|only)$", "", apart.replace("_", " ")).strip()
