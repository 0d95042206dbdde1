"""A first guess at what the columns of a flat table are, as a YAML mapping with comments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from forecasteval.errors import InputError
from forecasteval.sources.flat_table import MISSING_WORDS, read_flat
from forecasteval.tables.columns import Sheet
from forecasteval.tables.schemas import RESERVED

_WON_WORDS = ("won", "win", "closed won", "1", "1.0", "true", "yes", "y", "success")
_OUTCOME = r"won|win\b|status|outcome|result|rlz|reali[sz]|actual|observed|target|label|is_?closed"
_REP = r"\brep\b|seller|owner|sales_?(?:rep|person|man)|agent|executive|\bae\b"
_FORECAST = r"prob|chance|score|likel|confiden|forecast|predict"
_AMOUNT = r"amount|value|revenue|\bacv\b|\btcv\b|\barr\b|price"
_SEGMENT = r"product|region|segment|industry|country|sector|channel|\btype\b|tier"
_ACCOUNT = r"account|customer|client|company"
_ID = r"id\b|^id|number|key"
_DEAL = r"\bdeal\b|opportunity"
_NOT_A_DEAL = rf"{_REP}|{_ACCOUNT}|{_AMOUNT}|{_FORECAST}|{_SEGMENT}|date|stage|status|name|size"
_NOT_A_CHANCE = r"discount|margin|\btax|\bvat\b|commission|growth"
_WON, _LOST = r"\b(?:won|win)\b", r"\b(?:lost|lose|loss)\b"
_OPEN = r"\b(?:open|pending|progress|active|undecided)\b"
_FEW_WORDS, _MANY_WORDS = 4, 20
_MANY = 0.9
# a currency sign, figures with separators, a percent sign; codes of letters may be ids
_NUMBER = r"[-(]?[$€£¥₹₽₩₺₪฿]? ?-?[\d.,' \u00a0\u202f]*\d\)? ?[%$€£¥]?"
_BY = "# by: people or by: model can be added to each forecast, to say who makes it"
_OPTIONAL = [
    "# Keys that may be added: as_of (the date of the forecast), period (a column, or {column: ..., block_days: 14}),",
    "# rep, account, amount, amount_won (what was booked), segments: [...], features: [...] (for a reference model),",
    "# group_duplicates: true, max_age_days: 14 (older data is refused).",
]


@dataclass(frozen=True)
class _Column:
    """What a column's cells look like."""

    name: str
    cells: pd.Series
    numbers: pd.Series
    is_date: bool
    percent: bool
    money: bool

    @property
    def distinct(self) -> int:
        return int(self.cells.nunique())

    @property
    def is_number(self) -> bool:
        return bool(len(self.cells)) and bool(self.numbers.notna().all())

    @property
    def words(self) -> list[str]:
        return [str(word) for word in self.cells.unique()]

    @property
    def decides(self) -> bool:
        """Whether there is a word for won and one for lost."""
        return self.distinct <= _MANY_WORDS and all(
            any(re.search(pattern, word.lower()) for word in self.words) for pattern in (_WON, _LOST)
        )

    @property
    def may_be_outcome(self) -> bool:
        if not 2 <= self.distinct <= _FEW_WORDS or (self.is_number and self.distinct > 2):
            return False
        return self.named(_OUTCOME) or any(re.search(f"{_WON}|{_LOST}", word.lower()) for word in self.words)

    def named(self, pattern: str) -> bool:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name).lower()
        return re.search(pattern, words) is not None


def explain(file: Any, table: str | None = None) -> str:
    """A draft of the YAML mapping of a flat table, each guess with its reason; to be checked by a person.

    Parameters
    ----------
    file, table : as :func:`import_table` takes them

    Returns
    -------
    YAML text; what could not be guessed is marked TODO

    Raises
    ------
    InputError
        If the file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "deals.csv"
    >>> _ = file.write_text("Deal ID,Owner,Status,Score\\nD1,r1,Won,62\\nD2,r1,Lost,10\\nD3,r2,Won,50\\n")
    >>> print(explain(file).splitlines()[3])
    won: {column: Status, won: [Won], lost: [Lost]}  # its two values
    """
    sheet, _ = read_flat(file, table)
    if sheet.problems:
        raise InputError(sheet.problems)
    columns = [_look(sheet, str(header)) for header in sheet.cells.columns]
    return "\n".join(_Draft(sheet.file, len(sheet.cells), columns).lines()) + "\n"


def _look(sheet: Sheet, name: str) -> _Column:
    text = sheet.text(name)
    values = text[text.notna() & ~text.str.lower().isin(MISSING_WORDS)]
    shape = r"\d{4}-\d{1,2}-\d{1,2}(?:[T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?: .*)?"
    is_date = len(values) > 0 and bool(values.str.fullmatch(shape).mean() > _MANY)
    percent = bool(values.str.endswith("%", na=False).any())
    money = bool(values.str.contains(r"[$€£¥₹₽₩₺₪฿]", na=False).any())
    return _Column(name, values, _numbers(values), is_date, percent, money)


def _numbers(values: pd.Series) -> pd.Series:
    """The numbers of a column in which all cells are written as some, else nothing but gaps."""
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    if numbers.notna().all() or not values.str.fullmatch(_NUMBER, na=False).all():
        return numbers
    return Sheet("", values.str.rstrip("% ").to_frame("x")).numbers("x")


class _Draft:
    """The guesses, in the order in which they rule each other out."""

    def __init__(self, file: str, rows: int, columns: list[_Column]) -> None:
        self.file, self.rows = file, rows
        self.left = {column.name: column for column in columns}
        self.moment: str | None = None
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
        nothing = ["forecasts: {}  # none found: name columns, or fit a model to features"]
        return [*head, *body, *(forecasts or nothing), *rest, *_OPTIONAL]

    def _take(self, column: _Column) -> str:
        del self.left[column.name]
        return _yaml(column.name)

    def _first(self, test: str, *, distinct: tuple[float, float]) -> _Column | None:
        low, high = distinct
        found = (c for c in self.left.values() if c.named(test) and low <= c.distinct <= high)
        return next(found, None)

    def _outcome(self) -> list[str]:
        candidates = [c for c in self.left.values() if c.decides or self._two_sided(c)]
        suspects = [c for c in self.left.values() if c.may_be_outcome or c.decides]
        # a second account of the outcome is no feature either
        for other in suspects:
            del self.left[other.name]
        if not candidates:
            found = "; ".join(f"{c.name} ({', '.join(c.words)})" for c in suspects)
            why = f"is it {found}?" if found else "no column has values such as Won and Lost"
            return [f"won: TODO  # {{column: ..., won: [...], lost: [...], undecided: [...]}}: {why}"]

        def likeness(column: _Column) -> tuple[bool, bool, bool]:
            return column.decides, column.distinct == 2, column.named(_OUTCOME)

        column = max(candidates, key=likeness)
        self.left.pop(column.name, None)
        return [_outcome_line(column, [other.name for other in suspects if other is not column])]

    def _two_sided(self, column: _Column) -> bool:
        """Whether one of two values can be told to mean won, and the other one is not a deal still open."""
        lower = [word.lower() for word in column.words]
        if len(lower) != 2 or any(re.search(_OPEN, word) for word in lower):
            return False
        return column.named(_OUTCOME) or bool(set(lower) & set(_WON_WORDS))

    def _identity(self) -> list[str]:
        unique = [c for c in self.left.values() if c.distinct == self.rows > 1 and not c.is_date]
        named = [c for c in unique if c.named(_ID)]
        text = [c for c in unique if not c.is_number and not c.named(f"{_REP}|{_ACCOUNT}")]
        text.sort(key=lambda column: float(column.cells.str.len().mean()))
        if named or text:
            return [f"deal_id: {self._take([*named, *text][0])}  # different in every row"]
        return self._repeated_identity() or [
            "# deal_id: no column has a different value in every row; the row number is used"
        ]

    def _repeated_identity(self) -> list[str]:
        """An id that comes back with another date: one row per deal and moment."""
        dates = [column for column in self.left.values() if column.is_date]
        ids = [c for c in self.left.values() if c.named(f"{_ID}|{_DEAL}") and not c.named(_NOT_A_DEAL)]
        for column in ids:
            for date in dates:
                pairs = pd.DataFrame({"id": column.cells, "date": date.cells})
                if not column.is_date and column.distinct > 1 and not pairs.duplicated().any():
                    self.moment = date.name
                    return [f"deal_id: {self._take(column)}  # repeats with different dates, see as_of"]
        return []

    def _dates(self) -> list[str]:
        dates = [column for column in self.left.values() if column.is_date]
        if not dates:
            return ["# as_of: no column holds dates; nothing can be said about new periods then"]
        dates.sort(key=lambda column: column.name != self.moment)
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
        rep = self._first(_REP, distinct=(2, max(self.rows / 2, 2)))
        if rep:
            lines.append(f"rep: {self._take(rep)}  # {rep.distinct} of them")
        account = self._first(_ACCOUNT, distinct=(max(self.rows / 10, 2), self.rows))
        if account and not account.is_number:
            lines.append(f"account: {self._take(account)}")
        return lines

    def _money(self) -> list[str]:
        found = [c for c in self.left.values() if _is_amount(c) and c.distinct >= 3]
        return [f"amount: {self._take(found[0])}"] if found else []

    def _forecasts(self) -> list[str]:
        lines = []
        for column in list(self.left.values()):
            entry = _forecast(column)
            if entry:
                name = re.sub(r"[^a-z0-9]+", "_", self._take(column).lower()).strip("_")
                name = f"{name}_forecast" if name in RESERVED else name
                lines.append(f"  {_yaml(name)}: {entry}")
        return ["forecasts:", *lines, f"  {_BY}"] if lines else []

    def _rest(self, has_forecasts: bool) -> list[str]:
        few = [column for column in self.left.values() if 2 <= column.distinct <= 20 and not column.is_number]
        segments = [column.name for column in few if column.named(_SEGMENT)] or [
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


def _outcome_line(column: _Column, others: list[str]) -> str:
    """The mapping of the outcome: which words are won and lost, and which say neither."""
    words = sorted(column.words, key=lambda word: word.lower() not in _WON_WORDS)
    won, lost, undecided = words[:1], words[1:2], words[2:]
    if column.decides:
        won = [word for word in words if re.search(_WON, word.lower())]
        lost = [word for word in words if re.search(_LOST, word.lower()) and word not in won]
        undecided = [word for word in words if word not in (*won, *lost)]
    lists = {"won": won, "lost": lost, "undecided": undecided}
    said = "".join(f", {key}: [{', '.join(map(_yaml, value))}]" for key, value in lists.items() if value)
    note = "its two values" if column.distinct == 2 else "its values"
    note += f"; or {', '.join(others)}" if others else ""
    return f"won: {{column: {_yaml(column.name)}{said}}}  # {note}"


def _is_amount(column: _Column) -> bool:
    if not column.is_number or column.percent or not (column.money or column.named(_AMOUNT)):
        return False
    return bool((column.numbers >= 0).all()) and bool(column.numbers.max() > 1)


def _forecast(column: _Column) -> str | None:
    """The mapping of a column that looks like a forecast."""
    if not column.is_number:
        return None
    numbers, name = column.numbers, _yaml(column.name)
    below = sorted({float(number) for number in numbers[numbers < 0]})
    usable = numbers[numbers >= 0]
    missing = f", missing: [{below[0]:g}]" if len(below) == 1 else ""
    if len(below) > 1 or usable.empty:
        return f"{{column: {name}, kind: rank_score}}" if column.named(_FORECAST) else None
    if column.percent:
        chance = usable.max() <= 100 and not column.named(_NOT_A_CHANCE)
        return f"{{column: {name}, kind: probability, scale: 100{missing}}}" if chance else None
    if usable.max() <= 1:
        note = "  # 0 and 1 only: a yes or no" if usable.isin([0, 1]).all() else ""
        return f"{{column: {name}, kind: probability, scale: 1{missing}}}{note}"
    if column.named(_FORECAST) and usable.max() <= 100:
        return (
            f"{{column: {name}, kind: probability, scale: 100{missing}}}  # rank_score, if it is a percentile"
        )
    return f"{{column: {name}, kind: rank_score{missing}}}" if column.named(_FORECAST) else None


def _yaml(value: object) -> str:
    """A scalar as YAML reads it back: quoted where it would turn into something else."""
    text = str(value)
    try:
        plain = yaml.safe_load(f"[{text}]") == [text] and yaml.safe_load(f"a: {text}") == {"a": text}
    except yaml.YAMLError:
        plain = False
    if plain or re.fullmatch(r"-?\d+(\.\d+)?", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
