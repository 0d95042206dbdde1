"""What the rows of two forecasters sum to, formed where the rows are: Polars, DuckDB, Spark, a warehouse.

Everything that touches every row is written here once, in narwhals. Terms are whole multiples of a grain
(:mod:`forecasteval.inference.exact_sums`), so that an engine may add them in any order, and by any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from forecasteval.compare.cells import PRODUCTS
from forecasteval.errors import EngineStopped
from forecasteval.inference.auc import STEPS, span
from forecasteval.inference.exact_sums import Grain
from forecasteval.inference.silence import Left, Silence, judged, left_by

Columns = Mapping[str, nw.Expr]
ONE, NONE = (nw.lit(n).cast(nw.Float64) for n in (1, 0))  # 1.0 itself is a decimal to some engines

SPACE = "[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"  # as Python's str.strip


def collected(frame: Any) -> pd.DataFrame:
    """A small result, in memory; what an engine gives as decimals is whole numbers of 64 bits, or floats.

    Raises
    ------
    EngineStopped
        Where the engine gives none: it has too little memory, lost a worker for good, or is gone.
    """
    import pyarrow as pa

    try:
        table = frame.collect("pyarrow").to_arrow()
    except Exception as error:  # each engine has its own
        said = (str(error).strip() or "it is gone").splitlines()[0]
        raise EngineStopped(
            f"The engine that holds the table gave no answer, so there are no figures ({type(error).__name__}: {said}). "
            "Look whether it runs and has memory and disk enough, and ask again."
        ) from error
    plain = [
        f.with_type(pa.float64() if f.type.scale else pa.int64()) if pa.types.is_decimal(f.type) else f
        for f in table.schema
    ]
    found: pd.DataFrame = table.cast(pa.schema(plain)).to_pandas().copy()  # in one piece
    return found


def flag(condition: nw.Expr) -> nw.Expr:
    """1 where a condition holds, 0 where it does not or is not known."""
    return nw.when(condition).then(ONE).otherwise(NONE)


def day(frame: Any, column: str) -> nw.Expr:
    """The day of a moment, which may be text; what begins with none has none."""
    if frame.collect_schema()[column] != nw.String:
        return nw.col(column).cast(nw.Date).cast(nw.String)
    written = nw.col(column).str.slice(0, 10)
    return nw.when(written.str.contains("^[0-9]{4}-[0-9]{2}-[0-9]{2}$")).then(written).otherwise(None)


def trimmed(text: nw.Expr) -> nw.Expr:
    """Text without the spaces around it, those of all alphabets: some engines know those of ASCII alone."""
    return text.str.replace_all(f"^{SPACE}+|{SPACE}+$", "")


def floor(value: nw.Expr) -> nw.Expr:
    """The whole number below, as a float: Spark's own are integers, which overflow."""
    return value.floor().cast(nw.Float64)


def grouped(frame: Any, keys: Sequence[str], aggregates: Columns) -> Any:
    """Aggregates by some keys; by none over everything."""
    return frame.group_by(*keys).agg(**aggregates) if keys else frame.select(**aggregates)


def count(frame: Any, keys: Sequence[str] = ()) -> int:
    """How many rows there are; by keys how many of these."""
    of = grouped(frame, keys, {"n": nw.len()}) if keys else frame
    return int(collected(grouped(of, [], {"n": nw.len()}))["n"].iloc[0])


def gaps() -> dict[str, nw.Expr]:
    """Where candidate and baseline are silent, and where the baseline's value can stand in."""
    no_c, no_b = nw.col("c").is_null(), nw.col("b").is_null()
    return {"no_c": flag(no_c), "no_b": flag(no_b), "filled": flag(no_c & ~no_b)}


def stood_in(frame: Any) -> Any:
    """The rows about which the baseline speaks, its value in the candidate's gaps."""
    c = nw.when(nw.col("c").is_null()).then(nw.col("b")).otherwise(nw.col("c"))
    return frame.filter(~nw.col("b").is_null()).with_columns(c=c)


def with_home(frame: Any, moment: str) -> Any:
    """The rep whom each deal belonged to at its first look."""
    first = frame.with_columns(first_look=nw.col(moment).min().over("u"))
    home = nw.when(nw.col(moment) == nw.col("first_look")).then(nw.col("rep")).otherwise(None)
    return first.with_columns(home=home).with_columns(home=nw.col("home").max().over("u"))


def with_accounts(frame: Any) -> Any:
    """A deal without an account stands alone."""
    alone = nw.concat_str(nw.lit("deal "), nw.col("u").cast(nw.String))
    account = nw.when(nw.col("account").is_null()).then(alone).otherwise(nw.col("account"))
    return frame.with_columns(account=account)


def widened(frame: Any, columns: Columns) -> Any:
    """A frame with more columns, if there are any."""
    return frame.with_columns(**columns) if columns else frame


def sums(names: Iterable[str]) -> dict[str, nw.Expr]:
    """The sum of each column."""
    return {n: nw.col(n).sum() for n in names}


@dataclass(frozen=True)
class Block:
    """The terms of one metric on the rows that it can use, which the column ``usable`` marks.

    ``all_usable`` spares a question in every row; ``sure`` tells that probabilities of 0 or 1 occur; ``counted`` that
    there are terms (ranks have some for "new deals, same reps" only).
    """

    name: str
    kind: str
    usable: str = "kept"
    all_usable: bool = True
    sure: bool = False
    counted: bool = True

    @property
    def denominator(self) -> str | None:
        """The column that terms are divided by the sum of; None for 1 a row."""
        return {"brier_by_amount": "amount", "bias_by_amount": "booked"}.get(self.kind)

    @property
    def columns(self) -> tuple[str, ...]:
        """What is summed by cell."""
        if not self.counted:
            return ()
        z = () if self.denominator is None else ("z",)
        return ("c", "b", *z, *(("sure_c", "sure_b") if self.kind == "log_score" and self.sure else ()))

    def terms(self) -> dict[str, nw.Expr]:
        """Numerators of candidate (c) and baseline (b), and what they are divided by (z) where that is not 1 a row."""
        found = {} if self.denominator is None else {"z": nw.col(self.denominator)}
        for who in "cb":
            off = nw.col(who) - nw.col("w")
            found[who] = {
                "log_score": nw.lit(0.0) - nw.col(f"{who}_given").log(),
                "auc": nw.col(f"{who}_adds"),
                "brier_by_amount": nw.col("amount") * (off * off),
                "bias_by_amount": nw.col("amount") * nw.col(who) - nw.col("booked"),
                "bias": off,
            }.get(self.kind, off * off)
        return found

    def given(self, who: str, epsilon: float) -> nw.Expr:
        """The probability that was given to what happened, 1 for none: some engines refuse the logarithm of zero."""
        p = nw.col(who).clip(epsilon, 1 - epsilon) if epsilon > 0 else nw.col(who)
        given = nw.when(nw.col("w") == 1).then(p).otherwise(1 - p)
        return nw.when(given > 0).then(given).otherwise(nw.lit(1.0)) if self.sure else given


def with_terms(
    frame: Any, blocks: Sequence[Block], grains: Mapping[str, Grain] | None, epsilon: float
) -> Any:
    """Each block's terms, 0 in rows that it cannot use, and marks of the rows to be counted.

    Terms are multiples of their grain; as they are without grains, for sums that nobody holds to the last digit.
    What is summed by cell has two underscores in its name; a mark's weight is only of deals.
    """
    given: dict[str, nw.Expr] = {}
    terms: dict[str, nw.Expr] = {}
    whole: dict[str, nw.Expr] = {}
    for block in (b for b in blocks if b.counted):
        n, ok = block.name, nw.col(block.usable) == 1
        if block.kind == "log_score":
            given = {f"{who}_given": block.given(who, epsilon) for who in "cb"}
        for which, term in block.terms().items():
            # rows that cannot be used may hold nothing
            terms[f"{n}__{which}"] = (
                term if block.all_usable else nw.when(ok).then(term).otherwise(nw.lit(0.0))
            )
            if grains is not None:
                whole[f"{n}__{which}"] = floor(nw.col(f"{n}__{which}") * 2.0 ** grains[n].terms + 0.5)
        for who in "cb" if "sure_c" in block.columns else ():
            missed = nw.when(nw.col("w") == 1).then(nw.col(who) == 0).otherwise(nw.col(who) == 1)
            whole[f"{n}__sure_{who}"] = nw.col(block.usable) * flag(missed)
    counted = {"rows": ONE, "won": nw.col("w")}
    counted |= {"filled": nw.col("filled")} if "filled" in frame.collect_schema().names() else {}
    alike = _like_kept(blocks)
    for mark in _marks(blocks):
        if mark not in alike:
            whole |= {f"{mark}__{n}": x if mark == "kept" else nw.col(mark) * x for n, x in counted.items()}
        if mark != "kept":
            weight = nw.when(nw.col(mark) == 1).then(nw.col("amount")).otherwise(nw.lit(0.0))
            whole[f"{mark}_weight"] = nw.col("amount") if mark in alike else weight
    return widened(widened(widened(frame, given), terms), whole)


def _marks(blocks: Sequence[Block]) -> list[str]:
    return list(dict.fromkeys(["kept", *(b.usable for b in blocks)]))


def _like_kept(blocks: Sequence[Block]) -> list[str]:
    """Marks of all rows that are kept."""
    return [m for m in _marks(blocks) if m != "kept" and all(b.all_usable for b in blocks if b.usable == m)]


def cell_sums(frame: Any, keys: Sequence[str]) -> Any:
    """Sums of every block by cell, as the engine will form them."""
    return grouped(frame, keys, sums(n for n in frame.collect_schema().names() if "__" in n))


def deal_sums(
    frame: Any,
    keys: Sequence[str],
    blocks: Sequence[Block],
    grains: Mapping[str, Grain] | None,
    *,
    several: bool,
) -> Any:
    """What the deals of each cluster sum to: how many, won and not, their weights, and products of their terms.

    Where every row is a deal, the sums by cell stand beside it; those of all are the cells', added up.
    """
    marks, alike = _marks(blocks), _like_kept(blocks)
    names = [n for n in frame.collect_schema().names() if "__" in n or n.endswith("_weight")]
    if several:
        names = [n for n in names if "__sure_" not in n and not n.endswith("__filled")]
        frame = grouped(frame, ["u", *keys], sums(names))
    columns: dict[str, nw.Expr] = {}
    for b in blocks:
        n, grain = b.name, None if grains is None else grains[b.name]
        unit = {w: (nw.col(f"{n}__{w}"), grain.terms if grain else 0) for w in b.columns if w in "cbz"}
        if several and b.denominator is None:
            unit["z"] = (nw.col(f"{'kept' if b.usable in alike else b.usable}__rows"), 0)
        for pair in (p for p in PRODUCTS if set(p) <= set(unit)):
            (x, at_x), (y, at_y) = unit[pair[0]], unit[pair[1]]
            product = x * y
            if grain is not None:
                product = floor(product * 2.0 ** (grain.products - at_x - at_y) + 0.5)
            columns[f"{n}__{pair}"] = product
    heaviest = {}
    for m in marks:
        if not several and m == "kept":
            continue  # every row is a deal
        weight = nw.col("kept__rows" if m == "kept" else f"{m}_weight")
        if several and m not in alike:
            columns[f"{m}__deals"] = flag(nw.col(f"{m}__rows") > 0)
            columns[f"{m}__wins"] = flag(nw.col(f"{m}__won") > 0)
            columns[f"{m}__others"] = flag(nw.col(f"{m}__rows") > nw.col(f"{m}__won"))
        columns |= {
            f"{m}__weighing": flag(weight > 0),
            f"{m}__total": weight,
            f"{m}__square": weight * weight,
        }
        heaviest[f"{m}__heaviest"] = weight.max()
    each = dict.fromkeys([*columns, *(n for n in names if "__" in n and (several or keys))])
    return grouped(widened(frame, columns), keys, (sums(each) | heaviest) or {"n": nw.len()})


def settled(found: pd.DataFrame, blocks: Sequence[Block], *, several: bool = True) -> pd.DataFrame:
    """Counts of marks that hold all rows are those of the rows; where every row is a deal, they count deals too."""
    counts: dict[str, pd.Series] = {}
    alike = _like_kept(blocks)
    for m in _marks(blocks):
        of = "kept" if m in alike else m
        names = ("rows", "won", "filled", "deals", "wins", "others")
        mine = {n: found[f"{of}__{n}"] for n in names if f"{of}__{n}" in found}
        if not several:
            mine |= {"deals": mine["rows"], "wins": mine["won"], "others": mine["rows"] - mine["won"]}
            if m == "kept":
                mine |= dict.fromkeys(("weighing", "total", "square"), mine["rows"])
                mine["heaviest"] = mine["rows"].clip(upper=1)
        counts |= {f"{m}__{n}": values for n, values in mine.items()}
    return found.assign(**counts)


def of_all(cells: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    """Sums over all deals, where every row is one: those of the cells, and the products."""
    whole = added_up(cells, "")
    return whole.assign(
        **{str(c): products[c].to_numpy() for c in products if "__" in str(c) and c not in whole}
    )


def added_up(of_cells: pd.DataFrame, dimension: str) -> pd.DataFrame:
    """Sums over deals of the clusters of a dimension, from those of the cells; of all where it has no name."""
    by = of_cells[dimension] if dimension else np.zeros(len(of_cells), dtype=int)
    heaviest = [c for c in of_cells if str(c).endswith("__heaviest")]
    summed = [c for c in of_cells if "__" in str(c) and c not in heaviest]
    grouped = of_cells.groupby(by)
    return pd.concat([grouped[summed].sum(), grouped[heaviest].max()], axis=1).reset_index(
        names=dimension or "all"
    )


def differs(frame: Any, block: Block) -> bool:
    """Do the terms of candidate and baseline differ in any row?"""
    rows = frame.with_columns(differs=flag(nw.col(f"{block.name}__c") != nw.col(f"{block.name}__b")))
    return bool(collected(grouped(rows, [], sums(("differs",))))["differs"].sum())


# --- ranks ---------------------------------------------------------------------------------------------


def with_level(frame: Any, who: str, least: float, most: float, *, exact: bool) -> Any:
    """The value that a forecast is ranked by: itself, or its step of 1e-4."""
    if exact:
        return frame.with_columns(**{f"{who}_level": nw.col(who) + 0.0})
    low, high = span(least, most)
    step = ((nw.col(who) - low) / (high - low) * float(STEPS) + 0.5).floor()
    return frame.with_columns(**{f"{who}_level": step})


def curve(frame: Any, who: str, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Rows and wins at each level of a forecast."""
    aggregates = {"rows": nw.len(), "won": nw.col("w").sum()}
    found = collected(grouped(frame, [*keys, f"{who}_level"], aggregates))
    found = found.rename(columns={f"{who}_level": "level"}).astype({"rows": "int64", "won": float})
    return found.sort_values("level", ignore_index=True)


def with_placements(frame: Any, who: str, rows: int, won: int, coarse: int) -> Any:
    """How many rows each is ranked rightly against, and the range of levels that it lies in."""
    level = f"{who}_level"
    at = frame.group_by(level).agg(n=nw.len(), k=nw.col("w").sum())
    at = at.with_columns(n=nw.col("n").cast(nw.Float64))
    at = at.with_columns(**{f"{x}_upto": nw.col(x).cum_sum().over(order_by=level) for x in ("n", "k")})
    lost, lost_upto = nw.col("n") - nw.col("k"), nw.col("n_upto") - nw.col("k_upto")
    at = at.select(
        nw.col(level),
        below=lost_upto - lost / 2.0,
        above=float(won) - nw.col("k_upto") + nw.col("k") / 2.0,
        **{f"{who}_coarse": ((nw.col("n_upto") - 1.0) * float(coarse) / float(rows)).floor()},
    )
    placed = nw.when(nw.col("w") == 1).then(nw.col("below")).otherwise(nw.col("above"))
    placed_at = frame.join(at, on=level, how="left").with_columns(**{f"{who}_placed": placed})
    return placed_at.drop("below", "above")


def with_influence(frame: Any, who: str, value: float, rows: int, won: int) -> Any:
    """What each row adds to the AUC of a forecast."""
    lost, is_won = rows - won, nw.col("w") == 1
    placed = nw.col(f"{who}_placed")
    share = nw.when(is_won).then(placed / float(lost)).otherwise(placed / float(won)) - value
    scale = nw.when(is_won).then(nw.lit(rows / won)).otherwise(nw.lit(rows / lost))
    return frame.with_columns(**{f"{who}_adds": share * scale})


# --- gaps ----------------------------------------------------------------------------------------------


def silence_of(frame: Any, silent: str, values: Columns, keys: Sequence[str]) -> dict[str, Silence]:
    """Whether the rows that a column marks differ from the others, by name of what is looked at.

    ``keys`` are the ways of clustering; an empty one stands for single rows. Deals stay on the engine, which may have
    any number of them.
    """
    parts: dict[str, nw.Expr] = {}
    for i, value in enumerate(values.values()):
        for side, on in (("s", 1), ("o", 0)):
            mine = (nw.col(silent) == on) & ~value.is_null()
            parts |= {
                f"n{side}{i}": flag(mine),
                f"x{side}{i}": nw.when(mine).then(value).otherwise(nw.lit(0.0)),
            }
    frame = frame.with_columns(**parts)
    labels = [k for k in keys if k not in ("", "u")]
    cells = collected(grouped(frame, labels, sums(parts)))
    by_deal = grouped(frame, ["u"], sums(parts)) if "u" in keys else frame
    total = {name: float(cells[name].sum()) for name in parts}
    both = [i for i in range(len(values)) if total[f"ns{i}"] and total[f"no{i}"]]
    deals = _without_each(by_deal, total, both) if both else {}
    found = {}
    for i, name in enumerate(values):
        left = [deals.get(i, Left(0, 0.0, 0.0, whole=True))]
        for key in labels if i in both else ():
            of = cells.groupby(key)[[*parts]].sum()
            of = of[of[f"ns{i}"] + of[f"no{i}"] > 0]
            left.append(
                left_by([(of[f"x{side}{i}"].to_numpy(), of[f"n{side}{i}"].to_numpy()) for side in "so"])
            )
        silent_mean, other_mean = (
            total[f"x{side}{i}"] / total[f"n{side}{i}"] if total[f"n{side}{i}"] else float("nan")
            for side in "so"
        )
        found[name] = judged(silent_mean, other_mean, left)
    return found


def _without_each(frame: Any, total: Mapping[str, float], which: Sequence[int]) -> dict[int, Left]:
    """The gap of each value without each row of a frame in turn."""
    gaps: dict[str, nw.Expr] = {}
    for i in which:
        change = []
        for side in "so":
            (n, of), (x, sum_of) = ((nw.col(f"{c}{side}{i}"), total[f"{c}{side}{i}"]) for c in "nx")
            others = nw.when(n < of).then(nw.lit(of) - n).otherwise(ONE)
            change.append((nw.lit(sum_of) - x) / others - sum_of / of)
        gaps[f"d{i}"] = change[0] - change[1]
    squares = {f"{c}_2": nw.col(c) * nw.col(c) for i in which for c in (f"d{i}", f"ns{i}", f"no{i}")}
    there = {f"g{i}": flag(nw.col(f"ns{i}") + nw.col(f"no{i}") > 0) for i in which}
    most = {f"most_{c}": nw.col(c).max() for i in which for c in (f"ns{i}", f"no{i}")}
    rows = frame.with_columns(**gaps).with_columns(**squares, **there)
    t = collected(grouped(rows, [], sums((*squares, *there)) | most)).iloc[0]
    return {
        i: Left(
            int(t[f"g{i}"]),
            float(t[f"d{i}_2"]),
            min(total[c] ** 2 / float(t[f"{c}_2"]) for c in (f"ns{i}", f"no{i}")),
            whole=any(t[f"most_{c}"] >= total[c] for c in (f"ns{i}", f"no{i}")),
        )
        for i in which
    }
