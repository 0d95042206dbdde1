"""What the columns of a table look like to the draft of its mapping, and how the draft writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
import yaml

from forecasteval.sources._draft_words import named, side, yes_and_no
from forecasteval.sources._mapping import OPEN
from forecasteval.tables.columns import Sheet, date_like
from forecasteval.tables.numerals import read_numerals

ASK = "QUESTION:"
_MANY_WORDS = 20
_MANY = 0.9


@dataclass(frozen=True, eq=False)
class Column:
    """What a column's cells look like."""

    name: str
    cells: pd.Series  # without gaps
    blank: int
    numbers: pd.Series  # empty where not all cells are numbers
    currencies: list[str]
    is_date: bool
    percent: bool
    open_mark: bool  # whether commas or dots may be decimals or thousands
    words: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, sheet: Sheet, name: str) -> Column:
        text = replace(sheet, notes=[]).given(name)
        values = text.dropna()
        dated = named(name, "dated", "as_of", "created", "closing", "changed")
        is_date = len(values) > 0 and bool(date_like(values, numbers=dated).mean() > _MANY)
        percent = bool(values.str.endswith("%", na=False).any())
        found = read_numerals(
            values.str.rstrip("% "), stated=sheet.decimal, comma_is_thousands=sheet.separator != ";"
        )
        whole = len(values) > 0 and not is_date and bool(found.amounts.notna().all())
        return cls(
            name, values, len(text) - len(values), found.amounts if whole else values.iloc[:0].astype(float),
            [str(name) for name in found.currencies.dropna().unique()], is_date, percent, whole and bool(found.example),
            [str(word) for word in values.unique()],
        )  # fmt: skip

    @property
    def distinct(self) -> int:
        return len(self.words)

    @property
    def is_number(self) -> bool:
        return len(self.numbers) > 0

    @property
    def is_flag(self) -> bool:
        """Whether it holds yes and no alone."""
        return yes_and_no(self.words) is not None

    @property
    def sides(self) -> dict[str, str | None]:
        return {word: side(word, self.name) for word in self.words}

    @property
    def decides(self) -> bool:
        """Whether there is a word for won and one for lost."""
        return self.distinct <= _MANY_WORDS and {"won", "lost"} <= set(self.sides.values())

    @property
    def may_be_outcome(self) -> bool:
        few = self.distinct <= _MANY_WORDS and not self.is_date and (not self.is_number or self.is_flag)
        return few and self.named("outcome") and not self.named("segment")

    @property
    def is_won_flag(self) -> bool:
        """Whether yes in this column would mean won."""
        return self.named("won") or (self.named("outcome") and not self.named("lost", "closed"))

    def named(self, *roles: str) -> bool:
        return named(self.name, *roles)


class Draft:
    """The columns that are still to be told what they are, and what only a person can tell of them."""

    def __init__(self, columns: Iterable[Column]) -> None:
        self.columns = list(columns)
        self.left = {column.name: column for column in self.columns if column.distinct}
        self.asked: list[str] = []

    def ask(self, text: str) -> None:
        """Add a question."""
        self.asked.append(f"# {ASK} {plain(text)}")

    def those(self, *roles: str) -> list[Column]:
        """The columns that are called as one of the roles usually is."""
        return [column for column in self.left.values() if column.named(*roles)]

    def take(self, columns: Sequence[Column]) -> Column | None:
        """The first of some columns, which then is used; None where there are none."""
        return self.left.pop(columns[0].name) if columns else None

    def drop(self, columns: Iterable[Column]) -> list[str]:
        """Names of columns that are not looked at any more."""
        names = list(dict.fromkeys(column.name for column in columns if column.name in self.left))
        for name in names:
            del self.left[name]
        return names


def mark_lines(columns: Iterable[Column]) -> list[str]:
    """The question what dots and commas mean, where some column of amounts leaves it open."""
    open_ = next((column for column in columns if column.open_mark), None)
    if open_ is None:
        return []
    example = open_.cells[open_.cells.str.contains(r"[.,]\d{3}")].iloc[0]
    return [f'decimal_mark: {OPEN}  # {ASK} "." or ","? {plain(open_.name)} holds {plain(example)}']


def plain(text: object) -> str:
    """A text that can stand in a comment: on one line, with nothing that cannot be printed."""
    return "".join(c if c.isprintable() else " " for c in " ".join(str(text).split()))


def listed(words: Iterable[str]) -> str:
    """Words with commas between them."""
    return ", ".join(plain(word) for word in words)


def as_yaml(value: object) -> str:
    """A scalar as YAML reads it back: quoted where it would turn into something else."""
    text = str(value)
    try:
        read = yaml.safe_load(f"[{text}]"), yaml.safe_load(f"{{a: {text}}}")
    except yaml.YAMLError:
        read = None, None
    plain = text.isprintable() and read == ([text], {"a": text})
    number = bool(read[0]) and re.fullmatch(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", text) and str(read[0][0]) == text
    if (plain and text != OPEN) or number:
        return text
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9)).strip()
