"""A matched table that lies on an engine, or in Parquet files: checked there, and summed up there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from os import PathLike
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.exceptions import DuplicateError

from forecasteval.compare import engine, hindsight, parquet, rows
from forecasteval.compare.cells import Cells, Ranking, in_seconds
from forecasteval.compare.engine import Block, collected, flag, grouped, sums
from forecasteval.compare.pair import largest_log, size_of
from forecasteval.errors import CallError
from forecasteval.inference.auc import EXACT_ROWS, STEPS, Levels, pairs_within, ranges, span
from forecasteval.inference.estimate import Reason, reason
from forecasteval.inference.exact_sums import Grain, Size
from forecasteval.matching.ids import ids_read_as, joined_ids
from forecasteval.matching.matched import DAYS_AHEAD, META, ROUNDING, Matched
from forecasteval.scores.probability import Metric

_SLIPS = 200  # labels that are read as others, one by one; more are no slips of the pen
_DIMENSIONS = ("rep", "period", "account")
MARKS = {"brier_by_amount": "with_amount", "bias_by_amount": "with_both"}
_MONEY: dict[str, tuple[str, ...]] = {
    "kept": (),
    "with_amount": ("amount",),
    "with_both": ("amount", "booked"),
}


def usable_amounts(names: Iterable[str]) -> dict[str, nw.Expr]:
    """By mark the rows whose amounts are there and not negative."""
    there = {m: money for m, money in _MONEY.items() if money and set(money) <= set(names)}
    found = {}
    for mark, money in there.items():
        ok = [~nw.col(m).is_null() & (nw.col(m) >= 0) for m in money]
        found[mark] = ok[0] if len(ok) == 1 else ok[0] & ok[1]
    return found


def _written_number(name: str) -> nw.Expr:
    """Is a text a number?"""
    return engine.trimmed(nw.col(name)).str.contains("^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$")


def _only(frame: Any) -> dict[str, Any]:
    """The one row of a result."""
    return {str(k): v for k, v in collected(frame).iloc[0].to_dict().items()}


def squared(who: str) -> nw.Expr:
    """The squared error of a forecast."""
    return (nw.col(who) - nw.col("w")) * (nw.col(who) - nw.col("w"))


@dataclass(frozen=True, eq=False)
class Remote:
    """A table on an engine: ``frame`` in narwhals, ``outline`` its columns and what is known of it."""

    frame: Any
    outline: Matched
    one_row_per_deal: bool = False
    first_empty: Callable[[str], str] | None = None

    @classmethod
    def of(
        cls,
        native: Any,
        attrs: Mapping[str, Any] | None = None,
        outline: Matched | None = None,
        **known: Any,
    ) -> Remote:
        """Look at a table's columns and first rows, unless an outline is there already."""
        frame = nw.from_native(native)
        if outline is not None:
            return cls(frame, outline, **known)
        names = frame.collect_schema().names()
        head = collected(frame.head(5))
        for d in set(_DIMENSIONS) & set(names):
            blank = head[d].isna() | (head[d].astype("str").str.strip() == "")
            head[d] = None if blank.all() and not _any(frame, d) else "there"
        head.attrs = {str(k): v for k, v in (attrs or {}).items()}
        outline = replace(Matched.of(head), joined=dict(head.attrs.get(META, {}).get("joined", {})))
        return cls(frame, outline, **known)

    @cached_property
    def rows(self) -> int:
        """How many there are; a comparison that can be made counts them itself."""
        return engine.count(self.frame)

    def no_numbers(self, name: str) -> str:
        """What is to be said of a column of text in which some cells are no numbers."""
        kind = self.frame.collect_schema()[name]
        if kind.is_numeric() or kind == nw.Boolean:
            return ""
        there = ~nw.col(name).is_null()
        strange = there & ~_written_number(name) if kind == nw.String else there
        found = engine.count(self.frame.filter(strange))
        return f"{name} holds {found:,} cells that are not numbers." if found else ""

    def evidence(
        self,
        names: tuple[str, str],
        question: tuple[str, ...],
        metrics: Iterable[Metric],
        *,
        epsilon: float = 0.0,
        kinds: Mapping[str, str] | None = None,
        reasons: tuple[Reason, ...] = (),
    ) -> Cells:
        """The sums that a comparison needs.

        Raises
        ------
        CallError
            As for rows in memory; the number of a row is not known here.
        """
        declared = self.outline.kinds | dict(kinds or {})
        return _Asked(self, names, question, tuple(metrics), epsilon, declared).cells(reasons)


def opened(matched: Any, *, one_row_per_deal: bool) -> Matched | Remote:
    """A table on an engine or in Parquet files; frames of other libraries in memory."""
    if isinstance(matched, str | PathLike):
        native, attrs = parquet.opened(matched)
        where = partial(parquet.first_empty, matched)
        return Remote.of(native, attrs, one_row_per_deal=one_row_per_deal, first_empty=where)
    if _is_lazy(matched):
        return Remote.of(matched, one_row_per_deal=one_row_per_deal)
    return Matched.of(matched)


def of_frame(matched: Matched, *, one_row_per_deal: bool) -> Remote:
    """A table in memory, as an engine would have it."""
    relation = parquet.relation_of(matched.table)
    return Remote.of(relation, outline=matched, one_row_per_deal=one_row_per_deal)


def _is_lazy(table: Any) -> bool:
    """Does a table lie on an engine, which is asked rather than read?"""
    try:
        return isinstance(nw.from_native(table, pass_through=True), nw.LazyFrame)
    except DuplicateError:  # said in words where frames are read
        return False


def _any(frame: Any, column: str) -> bool:
    """Does a column hold anything?"""
    of = nw.col(column)
    if frame.collect_schema()[column] == nw.String:
        frame = frame.filter(of.str.strip_chars() != "")
    known = grouped(frame, [], {"n": of.count()})
    return bool(collected(known)["n"].sum())


@dataclass(eq=False)
class _Asked:
    """One comparison's way through the rows: the steps, in order, and what they have found."""

    remote: Remote
    names: tuple[str, str]
    question: tuple[str, ...]
    metrics: tuple[Metric, ...]
    epsilon: float
    declared: Mapping[str, str]
    joined: dict[str, str] = field(default_factory=dict)
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)

    def cells(self, reasons: tuple[Reason, ...]) -> Cells:
        """All of it."""
        outline = self.remote.outline
        there = {d for d in _DIMENSIONS if outline.has(d) or (d == "account" and d in outline)}
        self.dimensions = tuple(
            d
            for d in _DIMENSIONS
            if d in there and ({"rep": {"rep", "deal"}}.get(d, {d}) & set(self.question))
        )
        frame = self.read = self._read()
        look, self.whole = self._looked(frame)
        if self.whole["nan"] or self._unseen():
            frame = self.read = self._read(tidy=True)
            look, self.whole = self._looked(frame)
        if hidden := self._unseen():
            raise CallError(
                f"{', '.join(hidden)} holds NaN, which the engine takes for numbers. Write gaps as null, or hand the path "
                "of the files over."
            )
        frame, joined = self._joined(frame, look)
        self._refuse(look)
        frame, kinds, notes = self._kinds(frame)
        self.frame, self.several, self.looks = self._units(frame)
        if "account" in self.dimensions:
            self.frame = engine.with_accounts(self.frame)
        flow = list(self.remote.outline.counted_flow(self.deals, self.asked))
        told = hindsight.dated_late(int(self.whole.get("late", 0)), self.asked)
        told += self._knew()
        joined = {**self.remote.outline.joined, **self.joined, **joined}
        said = [reason("ids_joined", joined[d]) for d in ("deal_id", *self.dimensions) if d in joined]
        told += [*reasons, *said, *notes]
        told += self._settle(kinds, flow)
        self._united(told)
        return self._summed(kinds, tuple(told), tuple(flow), look)

    # --- read and check ---

    def _read(self, *, tidy: bool = False) -> Any:
        """The columns that count, under names of their own; tidied where a first look found that they need it."""
        frame, schema = self.remote.frame, self.remote.frame.collect_schema()

        def number(name: str) -> nw.Expr:
            column = nw.col(name)
            if schema[name] == nw.String:
                column = nw.when(_written_number(name)).then(engine.trimmed(column)).otherwise(None)
            elif schema[name] == nw.Boolean:
                column = column.cast(nw.Int32)  # the only number that PostgreSQL takes it for
            column = column.cast(nw.Float64)
            floored = (
                name in ("amount", "amount_won") and frame.implementation.is_ibis()
            )  # which fails on NaN
            if not ((tidy or floored) and schema[name].is_float()):
                return column
            return nw.when(~nans(column.cast(nw.String))).then(column).otherwise(None)

        def nans(written: nw.Expr) -> nw.Expr:
            return written.str.to_lowercase() == "nan"

        def text(name: str) -> nw.Expr:
            column = nw.col(name) if schema[name] == nw.String else nw.col(name).cast(nw.String)
            if schema[name].is_float():
                return nw.when(~nans(column)).then(column).otherwise(None)
            if schema[name].is_numeric() or name != "account":
                return column
            column = column.str.strip_chars()
            return nw.when(column != "").then(column).otherwise(None)

        columns = {"c": number(self.names[0]), "b": number(self.names[1]), "w": number("won")}
        money = {"amount", "amount_won"} if any(m.needs for m in self.metrics) else set()
        money = money & set(schema.names()) if "amount" in schema.names() else set()
        asked = sorted(money | ({"won"} if schema["won"] != nw.String else set()))  # text is told by its rows
        if wrong := [said for name in asked if (said := self.remote.no_numbers(name))]:
            raise CallError(" ".join(wrong))
        wants = {"deal_id", "as_of", "closed_on", *_DIMENSIONS, *money}
        for name in (n for n in schema.names() if n in wants):
            if name in ("amount", "amount_won"):
                columns[{"amount_won": "booked"}.get(name, name)] = number(name)
            elif name in _DIMENSIONS:
                columns[name] = text(name)
            elif name == "deal_id":
                columns["u"] = nw.col(name)
            else:
                columns[name] = nw.col(name)
        self.moment = "as_of" if "as_of" in columns else ""
        if (
            "amount" in columns
            and any(m.name == "bias_by_amount" for m in self.metrics)
            and "booked" not in columns
        ):
            columns["booked"] = nw.when(columns["w"] == 1).then(columns["amount"]).otherwise(nw.lit(0.0))
        self.present = frozenset(money)
        return frame.select(**columns)

    def _looked(self, frame: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
        """How many rows each rep and period has; how large things are, and what might be wrong with them."""
        keys = [d for d in ("rep", "period") if d in self.dimensions]
        first = {"first": nw.col(self.moment).min()} if self.moment and "period" in keys else {}
        look = collected(grouped(frame, keys, {"rows": nw.len(), **first})).astype({"rows": "int64"})
        self.asked = n = int(look["rows"].sum())
        names = frame.collect_schema().names()
        money = [m for m in ("amount", "booked") if m in names]
        found = {f"min_{c}": nw.col(c).min() for c in ("c", "b", *money)}
        found |= {f"max_{c}": nw.col(c).max() for c in ("c", "b", *money)}
        for m in money:  # what is refused anyway need not be a whole number to every engine
            sound = nw.when(nw.col(m).abs() <= rows.LARGEST_AMOUNT).then(nw.col(m)).otherwise(None)
            found[f"total_{m}"] = engine.floor(sound).sum()
        counted = ["c", "b", *money, *(() if self.remote.one_row_per_deal else ("u", "as_of"))]
        counted = [c for c in counted if c in names]
        found |= {f"known_{c}": nw.col(c).count() for c in counted}
        columns = {"right": flag((nw.col("w") == 0) | (nw.col("w") == 1)), "nan": engine.NONE}
        for c in ("c", "b", *money):
            columns["nan"] = columns["nan"] + flag(nw.col(c).is_nan())
        if {"as_of", "closed_on"} <= set(names):
            columns["late"] = flag(engine.day(frame, "as_of") >= engine.day(frame, "closed_on"))
        if "amount_won" in self.present:
            columns["booked_lost"] = flag((nw.col("w") == 0) & (nw.col("booked") != 0))
        whole = _only(grouped(frame.with_columns(**columns), [], sums(columns) | found))
        whole["not_won"] = n - whole["right"]
        whole["no_deal"] = n - whole.get("known_u", n)
        if any(whole[f"known_{c}"] < n for c in ("c", "b", *money)) or any(
            whole[f"min_{m}"] < 0 for m in money
        ):
            return look, whole | self._gaps(frame, names)
        # nothing is missing, as is usual: the rows need not be asked again
        whole |= {"no_c": 0, "no_b": 0, "filled": 0, "kept__rows": n}
        for mark in usable_amounts(names):
            whole[f"{mark}__rows"] = n
            for m in _MONEY[mark]:
                whole |= {f"{mark}__{m}": whole[f"max_{m}"], f"{mark}__total_{m}": whole[f"total_{m}"]}
        return look, whole

    def _gaps(self, frame: Any, names: Iterable[str]) -> dict[str, Any]:
        """What is missing, and how large the amounts are that are left."""
        spoken = ~nw.col("b").is_null()
        columns = {**engine.gaps(), "kept__rows": flag(spoken)}
        c = nw.when(nw.col("c").is_null()).then(nw.col("b")).otherwise(nw.col("c"))
        large = {
            w: nw.when(spoken).then(x).otherwise(None) for w, x in (("kept_c", c), ("kept_b", nw.col("b")))
        }
        for mark, ok in usable_amounts(names).items():
            columns[f"{mark}__rows"] = flag(ok & spoken)
            for m in _MONEY[mark]:
                large[f"{mark}__{m}"] = nw.when(ok & spoken).then(nw.col(m)).otherwise(nw.lit(0.0))
        extremes = {name: nw.col(name).max() for name in large}
        extremes |= {f"min_kept_{w}": nw.col(f"kept_{w}").min() for w in "cb"}
        for mark in usable_amounts(names):
            extremes |= {
                f"{mark}__total_{m}": engine.floor(nw.col(f"{mark}__{m}")).sum() for m in _MONEY[mark]
            }
        return _only(grouped(frame.with_columns(**columns, **large), [], sums(columns) | extremes))

    def _unseen(self) -> list[str]:
        """Columns in which only the largest value tells of NaN: DuckDB believes the statistics of Parquet files."""
        names = dict(zip("cb", self.names, strict=True)) | {"booked": "amount_won"}
        of = (n.removeprefix("max_") for n, v in self.whole.items() if n.startswith("max_") and v != v)
        return [names.get(c, c) for c in of if self.whole[f"known_{c}"]]

    def _beyond(self, column: str, least: float, most: float, low: float, high: float) -> int:
        """How many values lie outside some limits; asked only where one does."""
        if not (least < low or most > high):
            return 0
        outside = flag((nw.col(column) < low) | (nw.col(column) > high))
        return int(collected(grouped(self.read.with_columns(n=outside), [], sums(("n",))))["n"].sum())

    def _joined(self, frame: Any, look: pd.DataFrame) -> tuple[Any, dict[str, str]]:
        """Labels that differ only in case or in being a number or text, under one name."""
        told: dict[str, str] = {}
        for d in self.dimensions:
            if d == "account":
                labels = collected(grouped(frame.filter(~nw.col(d).is_null()), [d], {"rows": nw.len()}))
            else:
                labels = look.dropna(subset=[d]).groupby(d, as_index=False)[["rows"]].sum()
            labels = labels.sort_values(d, ignore_index=True)
            clean, said = joined_ids(labels[d].astype(object), d, labels["rows"].to_numpy())
            told |= {d: said} if said else {}
            named = dict(zip(labels[d], clean, strict=True))
            if all(old == new for old, new in named.items()):
                continue
            frame = frame.with_columns(**{d: engine.trimmed(nw.col(d))})  # spaces may be around every label
            others = {old.strip(): new for old, new in named.items() if old.strip() != new}
            if len(others) > _SLIPS:
                raise CallError(
                    f"{len(others):,} labels of {d} differ from others only in case or in being a number or text, such as "
                    f"{next(iter(others))!r}. Write each in one way, or hand the table over as a DataFrame."
                )
            column = nw.col(d)
            for old, new in others.items():
                label = nw.lit(None) if pd.isna(new) else nw.lit(new)
                column = nw.when(nw.col(d) == old).then(label).otherwise(column)
            frame = frame.with_columns(**{d: column})
            if d in look:
                look[d] = look[d].map(named)
        return frame, told

    def _refuse(self, look: pd.DataFrame) -> None:
        """All that is wrong with the rows, at once."""
        total = self.whole
        wrong = []
        for d in (d for d in ("rep", "period") if d in self.dimensions):
            if empty := int(look.loc[look[d].isna(), "rows"].sum()):
                wrong.append(rows.is_empty(d, f"{empty:,}", self._where(d)))
        if total["no_deal"]:
            wrong.append(self._no_deal(int(total["no_deal"])))
        if total["not_won"]:
            wrong.append(rows.not_won(f"{int(total['not_won']):,}", ""))
        for money, name in (("amount", "amount"), ("booked", "amount_won")):
            if f"max_{money}" in total and (name == "amount" or "amount_won" in self.present):
                ends = (total[f"min_{money}"], total[f"max_{money}"])
                if huge := self._beyond(money, *ends, -rows.LARGEST_AMOUNT, rows.LARGEST_AMOUNT):
                    wrong.append(rows.no_money(name, f"{huge:,}", f", such as {max(ends, key=abs):g}"))
        if total.get("booked_lost", 0):
            wrong.append(rows.booked_lost(f"{int(total['booked_lost']):,}", ""))
        if wrong:
            raise CallError(" ".join(wrong))

    def _no_deal(self, empty: int) -> str:
        return rows.is_empty("deal_id", f"{empty:,}", self._where("deal_id"))

    def _where(self, column: str) -> str:
        """The first row in which a column is empty, where rows have numbers."""
        find = self.remote.first_empty
        return "" if find is None else f", the first is {find(column)}"

    def _kinds(self, frame: Any) -> tuple[Any, tuple[str, str], list[Reason]]:
        """What either forecaster gives; probabilities that lie outside by rounding are moved."""
        kinds: list[str] = []
        notes: list[Reason] = []
        self.range: dict[str, tuple[float, float]] = {}
        for who, name in zip("cb", self.names, strict=True):
            ends = (float(self.whole[f"{end}_{who}"]) for end in ("min", "max"))
            least, most = (0.0 if np.isnan(end) else end for end in ends)  # who is silent has none
            outside = self._beyond(who, least, most, -ROUNDING, 1 + ROUNDING)
            kind, note = rows.kind_of(name, outside, least, most, self.declared)
            if not outside and (least < 0 or most > 1):
                frame = frame.with_columns(**{who: nw.col(who).clip(0.0, 1.0)})
                least, most = max(least, 0.0), min(most, 1.0)
            kinds.append(kind)
            notes += note
            self.range[who] = least, most
        self.sure = any(least <= 0 or most >= 1 for least, most in self.range.values()) and not self.epsilon
        return frame, (kinds[0], kinds[1]), notes

    # --- deals ---

    def _units(self, frame: Any) -> tuple[Any, bool, int]:
        """The deal of each row, where deals have several."""
        self.deals = self.asked
        if self.remote.one_row_per_deal:
            return frame, False, 1
        found = self._deals_of(frame)
        tidy = self._deal_ids(frame, found)
        if tidy is not frame:
            frame, found = tidy, self._deals_of(tidy)
        self.deals, looks = int(found["deals"]), int(found["most"])
        if looks == 1:
            return frame, False, 1
        if self.moment and (empty := self.asked - int(self.whole["known_as_of"])):
            raise CallError(rows.is_empty("as_of", f"{empty:,}", self._where("as_of")))
        key = ["u", *([self.moment] if self.moment else [])]
        again = grouped(frame, key, {"n": nw.len()}).filter(nw.col("n") > 1)
        repeated = collected(grouped(again.with_columns(n=nw.col("n") - 1), [], {"n": nw.col("n").sum()}))
        if len(repeated) and int(repeated["n"].sum()):
            raise CallError(rows.repeated(f"{int(repeated['n'].sum()):,}", ""))
        if self.moment and frame.collect_schema()[self.moment] == nw.String:
            told = frame.filter(~nw.col(self.moment).is_null())
            written = collected(grouped(told, [self.moment], {"n": nw.len()})).sort_values(self.moment)
            days = pd.to_datetime(written[self.moment], errors="coerce", format="ISO8601", utc=True)
            if days.isna().any() or not days.is_monotonic_increasing:
                raise CallError("as_of must hold dates, such as 2026-02-28, or text in their order.")
        return frame, True, looks

    def _deals_of(self, frame: Any) -> dict[str, Any]:
        """How many deals there are, how many rows one has at most, and how ids are written, if they are text."""
        written: dict[str, nw.Expr] = {}
        if frame.collect_schema()["u"] == nw.String:
            u = nw.col("u")
            written = {"up": flag(u != u.str.to_uppercase()), "low": flag(u != u.str.to_lowercase())}
            written["odd"] = flag(u.str.contains(f"^{engine.SPACE}|{engine.SPACE}$|^$|[.]0+$"))
        of = engine.widened(grouped(frame, ["u"], {"n": nw.len()}), written)
        return _only(grouped(of, [], {"deals": nw.len(), "most": nw.col("n").max(), **sums(written)}))

    def _deal_ids(self, frame: Any, found: Mapping[str, Any]) -> Any:
        """Ids that differ only in spaces, in case or in being a number or text are one, as in memory."""
        u = nw.col("u")
        if not (found.get("odd") or (found.get("up") and found.get("low"))):
            return frame
        one = u
        if found["odd"]:  # seldom, and slow: it is done again wherever ids are asked for
            one = engine.trimmed(u)
            if empty := engine.count(frame.filter(one == "")):
                raise CallError(self._no_deal(empty))
            whole = nw.when(one.str.contains("^[0-9]+[.]0+$")).then(one.str.replace_all("[.]0+$", ""))
            one = whole.otherwise(one)
        counts = (one.str.len_chars() == 15) & one.str.contains("[0-9]") & ~one.str.contains("[^A-Za-z0-9]")
        one = nw.when(counts).then(one).otherwise(one.str.to_lowercase())
        same = frame.select(u=u, one=one)
        several = grouped(same, ["one"], {"a": u.min(), "z": u.max()}).filter(nw.col("a") != nw.col("z"))
        joined = collected(several)
        if len(joined):
            first = joined["one"].iloc[int(joined["a"].map(repr).argmin())]
            example = collected(grouped(same.filter(nw.col("one") == first), ["u"], {"n": nw.len()}))["u"]
            deals = engine.count(same, ["one"])
            self.joined["deal_id"] = ids_read_as(
                "deal_id", int(found["deals"]), deals, sorted(map(repr, example))
            )
        elif not found["odd"]:
            return frame
        return frame.with_columns(u=one)

    def _knew(self) -> list[Reason]:
        """Whether one of the two knew the outcome, by the deals' last looks, and their first ones."""
        told = []
        for who, name in zip("cb", self.names, strict=True):
            spoken = self.frame.filter(~nw.col(who).is_null())
            ends: list[str] = []
            if self.several:
                moment, ends = nw.col(self.moment), ["last", "first"]
                spoken = spoken.with_columns(last=moment.max().over("u"), first=moment.min().over("u"))
                spoken = spoken.with_columns(**{end: flag(moment == nw.col(end)) for end in ends})
                spoken = spoken.filter(nw.col("last") + nw.col("first") > 0)
            least, most = self.range[who]
            exact = self.asked <= EXACT_ROWS
            at_ends = engine.curve(engine.with_level(spoken, who, least, most, exact=exact), who, ends)
            values = []
            for end in ends or [""]:
                c = at_ends
                if end:
                    c = c[c[end] == 1].groupby("level", as_index=False)[["rows", "won"]].sum()
                if not exact:
                    low, high = span(least, most)
                    c = c.assign(level=low + c["level"] / STEPS * (high - low))
                values.append((c["level"].to_numpy(), c["rows"].to_numpy(), c["won"].to_numpy()))
            if not self.several:
                self.curves[who] = at_ends
            if len(values[0][0]):
                told += hindsight.told(name, values, self.remote.outline.more.get(DAYS_AHEAD))
        return told

    def _settle(self, kinds: tuple[str, str], flow: list[dict[str, Any]]) -> list[Reason]:
        """Let the baseline's value stand in where the candidate is silent; leave out what the baseline leaves out."""
        same = kinds == ("probability", "probability")
        names, told = self.names, list[Reason]()
        silent = {name: int(self.whole[name]) for name in ("no_c", "no_b", "filled")}
        self.gaps = any(silent.values())
        if self.gaps:
            self.frame = self.frame.with_columns(**engine.gaps())
        loss = {n: squared(w) for n, w, kind in zip(names, "cb", kinds, strict=True) if kind == "probability"}
        for mark, gap, other in (
            ("no_c", f"{names[0]} is silent", names[1]),
            ("no_b", f"{names[1]} is silent", names[0]),
        ):
            if silent[mark]:
                told += self._silence(mark, gap, {k: v for k, v in loss.items() if k == other})
        kept = int(self.asked - silent["no_b"])
        if same and self.gaps:
            if filled := int(silent["filled"]):
                told.append(rows.stood_in(names, filled, kept))
            self.frame = engine.stood_in(self.frame)
        elif not same:
            spoken = ~nw.col("c").is_null() & ~nw.col("b").is_null()
            self.frame = self.frame.filter(spoken)
            kept = engine.count(self.frame)
        if kept < self.asked:
            before, self.deals = self.deals, self._count_deals(self.frame)
            who = names[1] if same else f"{names[0]} or {names[1]}"
            step, note = rows.left_out(who, self.deals, before, self.asked - kept, self.asked, both=not same)
            flow.append(step)
            told.append(note)
        self.kept = kept
        self.frame = self.frame.with_columns(kept=engine.ONE)
        return told

    def _count_deals(self, frame: Any) -> int:
        return engine.count(frame, ["u"] if self.several else [])

    def _silence(self, mark: str, gap: str, losses: Mapping[str, nw.Expr]) -> list[Reason]:
        """What tells that the rows which a column marks are not like the others."""
        silent = self._count_deals(self.frame.filter(nw.col(mark) == 1))
        if not rows.enough_silence(silent, self.deals):
            return []
        keys = ["u" if self.several else "", *self.dimensions]
        found = engine.silence_of(self.frame, mark, {"": nw.col("w"), **losses}, keys)
        return rows.silence_tells(gap, found)

    def _united(self, told: list[Reason]) -> None:
        """Put each deal that changed hands between looks with the rep of its first row."""
        if not self.several or "rep" not in self.dimensions:
            return
        reps = grouped(self.frame, ["u"], {"a": nw.col("rep").min(), "z": nw.col("rep").max()})
        if away := engine.count(reps.filter(nw.col("a") != nw.col("z"))):
            frame = engine.with_home(self.frame, self.moment)
            self.frame = frame.with_columns(rep=nw.col("home"))
            told.append(rows.crossed(away, self.deals))

    # --- sums ---

    def _notes(self) -> dict[str, tuple[Reason, ...]]:
        """What is said of the rows that metrics of amounts cannot use; marks those that they can."""
        found: dict[str, tuple[Reason, ...]] = {}
        marks = usable_amounts(self.frame.collect_schema().names())
        missing = {mark for mark in marks if int(self.whole[f"{mark}__rows"]) < self.kept}
        ok = {m: flag(usable) if m in missing else engine.ONE for m, usable in marks.items()}
        self.frame = engine.widened(self.frame, ok)
        for metric in (m for m in self.metrics if m.needs and MARKS[m.name] in marks):
            mark = MARKS[metric.name]
            notes: list[Reason] = []
            if metric.name == "bias_by_amount" and "amount_won" not in self.present:
                notes.append(rows.BOOKED_ASSUMED)
            if lost := self.kept - int(self.whole[f"{mark}__rows"]):
                frame, self.frame = self.frame, self.frame.with_columns(gap=engine.ONE - nw.col(mark))
                losses = {n: squared(w) for n, w in zip(self.names, "cb", strict=True)}
                notes += [rows.no_amount(lost), *self._silence("gap", "the amount is missing", losses)]
                self.frame = frame
            found[metric.name] = tuple(notes)
        return found

    def _blocks(self, same_kind: bool, notes: Mapping[str, tuple[Reason, ...]]) -> list[Block]:
        blocks = []
        for m in self.metrics:
            if m.name == "auc" or (same_kind and not m.needs):
                counted = m.name != "auc" or "deal" in self.question
                blocks.append(Block(m.name, m.name, sure=self.sure, counted=counted))
            elif same_kind and m.name in notes:
                some = any(n["code"] == "amount_missing" for n in notes[m.name])
                blocks.append(Block(m.name, m.name, MARKS[m.name], not some))
                if some:
                    blocks.append(Block(f"{m.name}_and_bias", "bias", MARKS[m.name], False))
        if same_kind and not any(b.name == "bias" for b in blocks):
            blocks.append(Block("bias", "bias"))
        return blocks

    def _grain(self, block: Block, won: int) -> Grain:
        n = self.kept if block.usable == "kept" else int(self.whole[f"{block.usable}__rows"])
        if block.kind == "auc":
            return Grain.of(Size.counted(n, max(n / max(won, 1), n / max(n - won, 1))), self.looks)
        least = min(self.whole.get(f"min_kept_{w}", self.range[w][0]) for w in "cb")
        most = max(self.whole.get(f"kept_{w}", self.range[w][1]) for w in "cb")
        amount, booked = (
            Size(*(float(self.whole.get(f"{block.usable}__{of}{m}", 0.0)) for of in ("", "total_")))
            for m in ("amount", "booked")
        )
        amount, booked = (Size(s.largest, s.total + n) for s in (amount, booked))  # rounded up
        size = size_of(block.kind, n, amount, booked, largest_log(least, most, self.epsilon))
        assert size is not None
        return Grain.of(size, self.looks)

    def _summed(
        self,
        kinds: tuple[str, str],
        told: tuple[Reason, ...],
        flow: tuple[dict[str, Any], ...],
        look: pd.DataFrame,
    ) -> Cells:
        same_kind = kinds == ("probability", "probability")
        notes = self._notes() if same_kind else {}
        keys = list(self.dimensions)
        rankings, won = self._ranks(keys, look) if any(m.name == "auc" for m in self.metrics) else (None, 0)
        blocks = self._blocks(same_kind, notes)
        if rankings is None:
            self.frame = self.frame.with_columns(c_adds=nw.lit(0.0), b_adds=nw.lit(0.0))
        grains = {b.name: self._grain(b, won) for b in blocks}
        frame = engine.with_terms(self.frame, blocks, grains, self.epsilon)

        def by_deal(keys: list[str]) -> pd.DataFrame:
            return collected(engine.deal_sums(frame, keys, blocks, grains, several=self.several))

        if keys and "deal" in self.question and not self.several:
            cells = engine.settled(by_deal(keys), blocks, several=False)
            deals = {d: engine.added_up(cells, d) for d in (*keys, "")}
        else:
            cells = collected(engine.cell_sums(frame, keys))
            cells = engine.settled(cells, blocks, several=self.several)
            if self.several:
                levels = (*keys, *([] if "rep" in keys else [""]))
                deals = {d: engine.settled(by_deal([d] if d else []), blocks) for d in levels}
            else:  # products are summed over all deals alone, which is twice as fast
                deals = {"": engine.of_all(cells, by_deal([]))} | {d: engine.added_up(cells, d) for d in keys}
        alike = [b for b in blocks if b.counted and (cells[f"{b.name}__c"] == cells[f"{b.name}__b"]).all()]
        identical = frozenset(b.name for b in alike if not engine.differs(frame, b))
        first = self._first(look)
        cells = cells.merge(first, on="period") if first is not None else cells.assign(first=0)
        return Cells(
            (cells.sort_values(keys, ignore_index=True) if keys else cells).fillna(0),
            {d: t.fillna(0) for d, t in deals.items()},
            grains,
            {b.name: b.usable for b in blocks},
            identical,
            self.dimensions,
            self.names,
            kinds,
            self.present,
            rankings,
            told,
            flow,
            notes,
            self.asked,
        )

    def _first(self, look: pd.DataFrame) -> pd.DataFrame | None:
        """The first moment of each period."""
        if "period" not in self.dimensions:
            return None
        if not self.moment:
            return look[["period"]].drop_duplicates().assign(first=0)
        found = look.groupby("period", as_index=False)[["first"]].min()
        return in_seconds(found)

    def _ranks(self, keys: list[str], look: pd.DataFrame) -> tuple[tuple[Ranking, Ranking] | None, int]:
        """How both rank the rows, by cell and within the clusters of each dimension."""
        exact, moments = self.kept <= EXACT_ROWS, "deal" in self.question
        looked = not (self.several or self.gaps or "account" in keys)  # every cell, then
        cells = (
            len(look[keys].drop_duplicates()) if looked else 0 if exact else engine.count(self.frame, keys)
        )
        coarse = 1 if exact else ranges(cells)
        found, k = [], 0
        for who in "cb":
            frame = engine.with_level(self.frame, who, *self.range[who], exact=exact)
            if exact:
                curve = engine.curve(frame, who, keys)
            else:  # what hindsight was looked for in, where it stands for the rows that are left
                curve = self.curves[who] if not (self.several or self.gaps) else engine.curve(frame, who)
            n, k = int(curve["rows"].sum()), int(curve["won"].sum())
            if not 0 < k < n:
                return None, k
            if not exact or moments:
                frame = engine.with_placements(frame, who, n, k, coarse)
            if exact:
                ranking = ranking_from(curve, keys)
            else:
                tied = Levels.of(curve["rows"].to_numpy(), curve["won"].to_numpy(), coarse).tied
                low, high = span(*self.range[who])
                whole = curve.assign(value=low + curve["level"] / STEPS * (high - low))
                ranking = self._from_coarse(frame, who, keys, tied, whole)
            if moments:
                self.frame = engine.with_influence(frame, who, ranking.value, n, k)
            found.append(ranking)
        return (found[0], found[1]), k

    def _from_coarse(
        self, frame: Any, who: str, keys: list[str], tied: float, curve: pd.DataFrame
    ) -> Ranking:
        """Placements by cell; pairs within clusters by ranges of values."""
        coarse = f"{who}_coarse"
        aggregates = {"rows": nw.len(), "won": nw.col("w").sum(), "placed": nw.col(f"{who}_placed").sum()}
        found = collected(frame.group_by(*keys, coarse).agg(**aggregates))
        return _ranks_of(found.rename(columns={coarse: "level"}), keys, ["cell", *keys], tied, curve)


def ranking_from(curve: pd.DataFrame, keys: list[str]) -> Ranking:
    """Everything from the rows and wins at each value, by cell."""
    values, at = np.unique(curve["level"].to_numpy(), return_inverse=True)
    rows, won = (np.bincount(at, weights=curve[n], minlength=values.size) for n in ("rows", "won"))
    levels = Levels.of(rows, won, 1)
    placed = curve["won"] * levels.below[at] + (curve["rows"] - curve["won"]) * levels.above[at]
    whole = pd.DataFrame({"value": values, "rows": rows, "won": won})
    return _ranks_of(curve.assign(level=at, placed=placed), keys, ["cell", *keys], 0.0, whole)


def _ranks_of(
    found: pd.DataFrame, keys: list[str], dims: list[str], tied: float, curve: pd.DataFrame
) -> Ranking:
    """Rows, wins and placements by cell, and the pairs within each cluster."""
    found = found if keys else found.assign(everything=0)
    keys = keys or ["everything"]
    cells = found.groupby(keys, as_index=False)[["rows", "won", "placed"]].sum()
    inside = {}
    for d in dims:
        of = found.groupby(keys if d == "cell" else d)
        code = of.ngroup().to_numpy()
        pairs = pairs_within(
            code,
            found["level"].to_numpy(dtype=np.int64),
            found["rows"].to_numpy(dtype=np.int64),
            found["won"].to_numpy(dtype=float),
            of.ngroups,
        )
        inside[d] = pd.Series(pairs, index=of.size().index)
    return Ranking(cells, inside, curve, tied)
