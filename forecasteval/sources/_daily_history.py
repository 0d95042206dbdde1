"""One row per deal and day, as a warehouse keeps it: today's table and the versions that its rows show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from forecasteval.sources.dialect import Dialect, Fields
from forecasteval.tables.columns import Sheet, normal

LOST = "lost from here on"  # a column of the versions: nothing is known until the next
DAYS = ("date_day", "snapshot_date", "day", "as_of_date")
_STATE = (
    "stage",
    "amount",
    "close_on",
    "probability",
    "category",
    "rep",
    "rep_name",
    "is_closed",
    "is_won",
    "status",
)
_BEFORE = pd.Timedelta(seconds=1)
_ONE = pd.Timedelta(days=1)


@dataclass(frozen=True)
class DailyHistory:
    """A daily table taken apart."""

    newest: Sheet  # the last row of each deal
    versions: Sheet  # the rows in which anything changed, and where days are missing
    vanished: frozenset[str]  # deals that the newest day lacks
    missing: int  # days without a row between two rows of an open deal
    days: int  # rows

    def audit(self) -> list[tuple[str, int, int, str]]:
        """What the table itself lost."""
        text = (
            "Days without a row between two rows of an open deal: unknown. Some versions of the model dropped deals "
            "that had not changed; build the table anew from the first day."
        )
        gone = "Deals of which the newest day has no row; open ones count as deleted."
        return [
            ("days missing from the daily history", self.missing, self.days + self.missing, text),
            ("deals that the newest day lacks", len(self.vanished), len(self.newest.cells), gone),
        ]


def apart(dialect: Dialect, sheet: Sheet) -> DailyHistory | None:
    """Today's records and the versions; a day's row is the state at its beginning, the last second of the day before."""
    header = next((name for day in DAYS if (name := sheet.headers().get(normal(day)))), None)
    if header is None:
        sheet.wrong(1, None, "no column of days", "date_day", "Add the column to the export.")
        return None
    fields = Fields(dialect, sheet, dialect.required)
    if sheet.cells.empty:
        sheet.wrong(None, None, "a header and no rows", "one row per deal and day", "Export it again.")
    if sheet.problems:
        return None
    ids, day = fields.take("deal_id"), sheet.dates(header)
    sheet.pin(header, sheet.text(header)[day.isna()], "a day", "Export the row again.")
    order = pd.DataFrame({"deal": ids, "day": day}).sort_values(["deal", "day"], kind="stable")
    again = order.duplicated(["deal", "day"])
    found = "{} again on one day"
    sheet.pin(
        fields.header["deal_id"], order["deal"][again], "one row per deal and day", "Remove one.", found=found
    )
    cells, day = sheet.cells.loc[order.index], order["day"]
    same = order["deal"].eq(order["deal"].shift())
    shown = [fields.header[meaning] for meaning in _STATE if meaning in fields]
    text = cells[shown].astype("str").fillna("")
    changed = ~same | (text != text.shift()).any(axis=1)
    gap = (day - day.shift()).where(same).gt(_ONE) & ~_closed(fields, cells).shift(fill_value=False)
    name = dialect.fields_of("values").get("from", ("valid_from",))[0]
    versions = cells.drop(columns=[c for c in cells if normal(str(c)) in ("fivetranstart", "fivetranend")])
    before = gap.shift(-1, fill_value=False)
    kept, holes = versions[changed | gap].copy(), versions[before].copy()
    kept[name], kept[LOST] = day[changed | gap] - _BEFORE, False
    holes[name], holes[LOST] = day[before] + _ONE - _BEFORE, True
    newest_day = day.max()
    last = ~order["deal"].eq(order["deal"].shift(-1))
    vanished = order["deal"][last & day.lt(newest_day)]
    table = pd.concat([kept, holes]).sort_index(kind="stable")
    table[name] = table[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    table.index = pd.RangeIndex(2, len(table) + 2, name="row")
    missing = int(((day - day.shift())[gap].dt.days - 1).sum())
    return DailyHistory(
        replace(sheet, cells=cells[last].sort_index()),
        replace(sheet, cells=table.astype("str").where(table.notna()), problems=[]),
        frozenset(vanished), missing, len(cells),
    )  # fmt: skip


def _closed(fields: Fields, cells: pd.DataFrame) -> pd.Series:
    """Which rows say themselves that the deal is closed."""
    header = fields.header.get("is_closed")
    if header is None:
        return pd.Series(False, index=cells.index)
    return cells[header].astype("str").str.strip().str.lower().isin(["true", "t", "1", "yes"])
