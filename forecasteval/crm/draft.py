"""A first guess at what the columns of a flat table are, as a YAML mapping with comments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from forecasteval.cells import InputError, Problem, Sheet
from forecasteval.schemas import RESERVED, read_sheet

MISSING_WORDS = ("na", "n/a", "nan", "null", "none", "#n/a")
WON_WORDS = ("won", "win", "closed won", "1", "1.0", "true", "yes", "y", "success")
OUTCOME = r"won|win\b|status|outcome|result|rlz|reali[sz]|actual|observed|target|label|is_?closed"
REP = r"\brep\b|seller|owner|sales_?(?:rep|person|man)|agent|executive|\bae\b"
FORECAST = r"prob|chance|score|likel|confiden|forecast|predict"
AMOUNT = r"amount|value|revenue|\bacv\b|\btcv\b|\barr\b|price"
SEGMENT = r"product|region|segment|industry|country|sector|channel|\btype\b|tier"
MANY = 0.9


@dataclass(frozen=True)
class _Column:
    """What a column's cells look like."""

    name: str
    cells: pd.Series
    numbers: pd.Series
    is_date: bool

    @property
    def distinct(self) -> int:
        return int(self.cells.nunique())

    @property
    def is_number(self) -> bool:
        return bool(len(self.cells)) and bool(self.numbers.notna().all())

    def named(self, pattern: str) -> bool:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name).lower()
        return re.search(pattern, words) is not None


def explain(file: str | Path) -> str:
    """A draft of the YAML mapping of a flat table, each guess with its reason; to be checked by a person.

    Parameters
    ----------
    file : CSV or Parquet

    Returns
    -------
    YAML text; what could not be guessed is marked TODO

    Raises
    ------
    InputError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "deals.csv"
    >>> _ = file.write_text("Deal ID,Owner,Status,Score\\nD1,r1,Won,62\\nD2,r1,Lost,10\\nD3,r2,Won,50\\n")
    >>> print(explain(file).splitlines()[3])
    won: {column: Status, won: [Won], lost: [Lost]}  # its two values
    """
    path = Path(file)
    if not path.exists():
        raise InputError([Problem(str(file), None, None, "no such file", "a CSV or Parquet file", "")])
    sheet, _ = read_sheet(path, path.name)
    if sheet.problems:
        raise InputError(sheet.problems)
    columns = [_look(sheet, str(header)) for header in sheet.cells.columns]
    return "\n".join(_Draft(path.name, len(sheet.cells), columns).lines()) + "\n"


def _look(sheet: Sheet, name: str) -> _Column:
    text = sheet.text(name)
    values = text[text.notna() & ~text.str.lower().isin(MISSING_WORDS)]
    numbers = pd.to_numeric(values, errors="coerce")
    shape = r"\d{4}-\d{1,2}-\d{1,2}(?:[T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?: .*)?"
    is_date = len(values) > 0 and bool(values.str.fullmatch(shape).mean() > MANY)
    return _Column(name, values, numbers, is_date)


class _Draft:
    """The guesses, in the order in which they rule each other out."""

    def __init__(self, file: str, rows: int, columns: list[_Column]) -> None:
        self.file, self.rows = file, rows
        self.left = {column.name: column for column in columns}
        self.empty = [column.name for column in columns if column.distinct == 0]
        for name in self.empty:
            del self.left[name]

    def lines(self) -> list[str]:
        """The draft."""
        head = [
            f"# Mapping of {self.file} ({self.rows:,} rows), drafted from its columns: check every line.",
            'description: ""  # what the rows are, in a sentence',
            "target: won  # what came true when the outcome is a win, e.g. won in period",
        ]
        body = [*self._outcome(), *self._identity(), *self._dates(), *self._people(), *self._money()]
        forecasts = self._forecasts()
        rest = self._rest(bool(forecasts))
        if self.empty:
            rest.append(f"# Empty columns, left out: {', '.join(self.empty)}")
        return (
            head
            + body
            + (forecasts or ["forecasts: {}  # none found: name columns, or fit a model to features"])
            + rest
        )

    def _take(self, column: _Column) -> str:
        del self.left[column.name]
        return _yaml(column.name)

    def _first(self, test: str, *, distinct: tuple[float, float]) -> _Column | None:
        low, high = distinct
        return next(
            (
                column
                for column in self.left.values()
                if column.named(test) and low <= column.distinct <= high
            ),
            None,
        )

    def _outcome(self) -> list[str]:
        two = [column for column in self.left.values() if column.distinct == 2]
        if not two:
            return ["won: TODO  # {column: ..., won: [...], lost: [...]}: no column has exactly two values"]

        def likeness(column: _Column) -> tuple[bool, bool, int]:
            words = {str(word).lower() for word in column.cells.unique()}
            says_won = bool(words & {"won", "win", "closed won"})
            return says_won, column.named(OUTCOME), list(self.left).index(column.name)

        column = max(two, key=likeness)
        words = sorted(column.cells.unique(), key=lambda word: str(word).lower() not in WON_WORDS)
        others = [other.name for other in two if other is not column and other.named(OUTCOME)]
        note = "its two values" + (f"; or {', '.join(others)}" if others else "")
        won, lost = (_yaml(word) for word in words)
        return [f"won: {{column: {self._take(column)}, won: [{won}], lost: [{lost}]}}  # {note}"]

    def _identity(self) -> list[str]:
        column = next(
            (c for c in self.left.values() if c.named(r"id\b|^id|number|key") and c.distinct == self.rows),
            None,
        )
        if column is None:
            return ["# deal_id: no column has a different value in every row; the row number is used"]
        return [f"deal_id: {self._take(column)}  # different in every row"]

    def _dates(self) -> list[str]:
        dates = [column for column in self.left.values() if column.is_date]
        if not dates:
            return ["# as_of: no column holds dates; nothing can be said about new periods then"]
        first, others = dates[0], [column.name for column in dates[1:]]
        note = "the moment of the forecast" + (f"; other dates: {', '.join(others)}" if others else "")
        name = self._take(first)
        for other in others:
            del self.left[other]
        lines = [f"as_of: {name}  # {note}"]
        period = self._first(r"quarter|period|fiscal", distinct=(2, self.rows / 3))
        if period:
            return [*lines, f"period: {self._take(period)}"]
        return [*lines, f"period: {{column: {name}, block_days: 14}}  # a span in which shocks may be shared"]

    def _people(self) -> list[str]:
        lines = []
        rep = self._first(REP, distinct=(2, max(self.rows / 2, 2)))
        if rep:
            lines.append(f"rep: {self._take(rep)}  # {rep.distinct} of them")
        account = self._first(
            r"account|customer|client|company", distinct=(max(self.rows / 10, 2), self.rows)
        )
        if account and not account.is_number:
            lines.append(f"account: {self._take(account)}")
        return lines

    def _money(self) -> list[str]:
        column = self._first(AMOUNT, distinct=(3, self.rows))
        if column is None or not column.is_number or bool((column.numbers < 0).any()):
            return []
        if bool(column.numbers.max() <= 1):
            return []
        return [f"amount: {self._take(column)}"]

    def _forecasts(self) -> list[str]:
        lines = []
        for column in list(self.left.values()):
            entry = _forecast(column)
            if entry:
                name = re.sub(r"[^a-z0-9]+", "_", self._take(column).lower()).strip("_")
                name = f"{name}_forecast" if name in RESERVED else name
                lines.append(f"  {_yaml(name)}: {entry}")
        return ["forecasts:", *lines] if lines else []

    def _rest(self, has_forecasts: bool) -> list[str]:
        few = [column for column in self.left.values() if 2 <= column.distinct <= 20 and not column.is_number]
        segments = [column.name for column in few if column.named(SEGMENT)] or [
            column.name for column in few[:2]
        ]
        lines = []
        if segments:
            lines.append(f"segments: [{', '.join(_yaml(name) for name in segments)}]  # few values each")
        features = [column.name for column in self.left.values() if column.name not in segments]
        if features and not has_forecasts:
            words = ", ".join(_yaml(name) for name in [*segments, *features])
            lines.append(f"features: [{words}]  # kept for a reference model")
            lines.append("group_duplicates: true  # rows that agree in every attribute stay together")
        elif features:
            lines.append(f"# Not used: {', '.join(features)}")
        return lines


def _forecast(column: _Column) -> str | None:
    """The mapping of a column that looks like a forecast."""
    if not column.is_number:
        return None
    numbers, name = column.numbers, _yaml(column.name)
    below = sorted({float(number) for number in numbers[numbers < 0]})
    usable = numbers[numbers >= 0]
    missing = f", missing: [{below[0]:g}]" if len(below) == 1 else ""
    if len(below) > 1 or usable.empty:
        return f"{{column: {name}, kind: rank_score}}" if column.named(FORECAST) else None
    if usable.max() <= 1:
        note = "  # 0 and 1 only: a yes or no" if usable.isin([0, 1]).all() else ""
        return f"{{column: {name}, kind: probability, scale: 1{missing}}}{note}"
    if column.named(FORECAST) and usable.max() <= 100:
        return (
            f"{{column: {name}, kind: probability, scale: 100{missing}}}  # rank_score, if it is a percentile"
        )
    return f"{{column: {name}, kind: rank_score{missing}}}" if column.named(FORECAST) else None


def _yaml(value: object) -> str:
    """A scalar as YAML reads it back: quoted where it would turn into something else."""
    import yaml

    text = str(value)
    try:
        plain = yaml.safe_load(f"[{text}]") == [text] and yaml.safe_load(f"a: {text}") == {"a": text}
    except yaml.YAMLError:
        plain = False
    if plain or re.fullmatch(r"-?\d+(\.\d+)?", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
