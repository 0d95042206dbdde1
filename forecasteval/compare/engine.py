"""What the rows of two forecasters sum to, formed where the rows are: Polars, DuckDB, Spark, a warehouse.

Everything that touches every row is written here once, in narwhals. Terms are whole multiples of a grain
(:mod:`forecasteval.inference.exact_sums`), so that an engine may add them in any order, and by any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from forecasteval.inference.auc import EXACT_ROWS, STEPS, span
from forecasteval.inference.exact_sums import places
from forecasteval.inference.silence import Left, Silence, judged
from forecasteval.scores.probability import METRICS

Columns = Mapping[str, nw.Expr]
PRODUCTS = ("cc", "cb", "bb", "cz", "bz", "zz")


def collected(frame: Any) -> pd.DataFrame:
    """A small result, in memory; sums that an engine gives as decimals are whole numbers of 64 bits."""
    import pyarrow as pa

    table = (frame.collect("pyarrow") if isinstance(frame, nw.LazyFrame) else frame).to_arrow()
    whole = [f.with_type(pa.int64()) if pa.types.is_decimal(f.type) else f for f in table.schema]
    found: pd.DataFrame = table.cast(pa.schema(whole)).to_pandas().copy()  # in one piece
    return found


def flag(condition: nw.Expr) -> nw.Expr:
    """1 where a condition holds, 0 where it does not or is not known."""
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0))


def grouped(frame: Any, keys: Sequence[str], aggregates: Columns) -> Any:
    """Aggregates by some keys; by none over everything."""
    if not keys:
        frame, keys = frame.with_columns(nw.lit(0).alias("everything")), ["everything"]
    return frame.group_by(*keys).agg(**aggregates)


def sums(names: Iterable[str]) -> dict[str, nw.Expr]:
    """The sum of each column."""
    return {n: nw.col(n).sum() for n in names}


@dataclass(frozen=True)
class Block:
    """The terms of one metric on the rows that it can use, which the column ``usable`` marks."""

    name: str
    kind: str
    usable: str = "kept"
    weight: str | None = None  # what a deal weighs; None for each row alike

    def terms(self, epsilon: float) -> dict[str, nw.Expr]:
        """Numerators of candidate (c) and baseline (b), and the denominator (z)."""
        one, won = nw.lit(1.0), nw.col("w") == 1
        found = {"z": {"brier_by_amount": nw.col("amount"), "bias_by_amount": nw.col("booked")}.get(self.kind, one)}
        for who in "cb":
            p = nw.col(who)
            off = p - nw.col("w")
            if self.kind == "log_score":
                p = p.clip(epsilon, 1 - epsilon) if epsilon > 0 else p
                given = nw.when(won).then(p).otherwise(1 - p)
                # a sure miss is counted apart: some engines refuse the logarithm of zero
                found[who] = nw.lit(0.0) - nw.when(given > 0).then(given).otherwise(one).log()
            elif self.kind == "auc":
                found[who] = nw.col(f"{who}_adds")
            else:
                found[who] = {
                    "brier_by_amount": nw.col("amount") * (off * off),
                    "bias_by_amount": nw.col("amount") * p - nw.col("booked"),
                    "bias": off,
                }.get(self.kind, off * off)
        return found


@dataclass(frozen=True)
class Grain:
    """Binary places of a block's terms, and of their products by deal."""

    terms: int
    products: int

    @classmethod
    def of(cls, largest: float, rows: int, looks: int) -> Grain:
        """For terms up to a size, of so many rows, so many of which may be of one deal."""
        of_deal = largest * looks
        return cls(places(largest, rows), places(of_deal * of_deal, rows))


def with_terms(frame: Any, blocks: Sequence[Block], grains: Mapping[str, Grain], epsilon: float) -> Any:
    """Each block's terms as whole numbers, and 0 in rows that it cannot use; with counts of its rows."""
    floats: dict[str, nw.Expr] = {}
    whole: dict[str, nw.Expr] = {}
    more: dict[str, nw.Expr] = {}
    for block in blocks:
        n, ok = block.name, nw.col(block.usable) == 1
        for which, term in block.terms(epsilon).items():
            floats[f"{n}.{which}"] = nw.when(ok).then(term).otherwise(nw.lit(0.0))
            scaled = nw.col(f"{n}.{which}") * 2.0 ** grains[n].terms + 0.5
            whole[f"{n}.{which}"] = scaled.floor().cast(nw.Int64)
        whole[f"{n}.rows"] = nw.col(block.usable)
        whole[f"{n}.won"] = nw.col(block.usable) * nw.col("w").cast(nw.Int64)
        whole[f"{n}.filled"] = nw.col(block.usable) * nw.col("filled")
        weight = nw.col(block.usable).cast(nw.Float64) if block.weight is None else nw.col(block.weight)
        whole[f"{n}.weight"] = nw.when(ok).then(weight).otherwise(nw.lit(0.0))
        more[f"{n}.differs"] = flag(nw.col(f"{n}.c") != nw.col(f"{n}.b"))
        for who in "cb":
            missed = nw.when(nw.col("w") == 1).then(nw.col(who) == 0).otherwise(nw.col(who) == 1)
            more[f"{n}.sure_{who}"] = nw.col(block.usable) * flag(missed)
    return frame.with_columns(**floats).with_columns(**whole).with_columns(**more)


def by_cell(frame: Any, keys: Sequence[str], blocks: Sequence[Block]) -> pd.DataFrame:
    """Sums of every block by cell."""
    each = ("c", "b", "z", "rows", "won", "filled", "differs", "sure_c", "sure_b")
    return collected(grouped(frame, keys, sums(f"{b.name}.{n}" for b in blocks for n in each)))


def by_deal(
    frame: Any, keys: Sequence[str], blocks: Sequence[Block], grains: Mapping[str, Grain], *, several: bool
) -> pd.DataFrame:
    """What the deals of each cluster sum to: how many, won and not, their weights, and products of their terms."""
    if several:
        summed = sums(f"{b.name}.{n}" for b in blocks for n in ("c", "b", "z", "rows", "won", "weight"))
        frame = grouped(frame, ["u", *keys], summed)
    columns: dict[str, nw.Expr] = {}
    for b in blocks:
        n, grain = b.name, grains[b.name]
        unit = {w: nw.col(f"{n}.{w}").cast(nw.Float64) * 2.0**-grain.terms for w in "cbz"}
        for pair in PRODUCTS:
            scaled = unit[pair[0]] * unit[pair[1]] * 2.0**grain.products + 0.5
            columns[f"{n}.{pair}"] = scaled.floor().cast(nw.Int64)
        columns[f"{n}.deals"] = flag(nw.col(f"{n}.rows") > 0)
        columns[f"{n}.wins"] = flag(nw.col(f"{n}.won") > 0)
        columns[f"{n}.others"] = flag(nw.col(f"{n}.rows") > nw.col(f"{n}.won"))
        columns[f"{n}.weighing"] = flag(nw.col(f"{n}.weight") > 0)
        columns[f"{n}.weight2"] = nw.col(f"{n}.weight") * nw.col(f"{n}.weight")
    each = (*PRODUCTS, "c", "b", "z", "deals", "wins", "others", "weighing", "weight", "weight2")
    aggregates = sums(f"{b.name}.{n}" for b in blocks for n in each)
    aggregates |= {f"{b.name}.heaviest": nw.col(f"{b.name}.weight").max() for b in blocks}
    return collected(grouped(frame.with_columns(**columns), keys, aggregates))


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
    found = collected(frame.group_by(*keys, f"{who}_level").agg(**aggregates))
    found = found.rename(columns={f"{who}_level": "level"}).astype({"rows": "int64", "won": float})
    return found.sort_values("level", ignore_index=True)


def with_placements(frame: Any, who: str, rows: int, won: int, coarse: int) -> Any:
    """How many rows each is ranked rightly against, doubled, and the range of levels that it lies in."""
    level = f"{who}_level"
    at = frame.group_by(level).agg(n=nw.len(), k=nw.col("w").sum().alias("k"))
    at = at.with_columns(n=nw.col("n").cast(nw.Int64), k=nw.col("k").cast(nw.Int64))
    upto = {f"{x}_upto": nw.col(x).cum_sum().over(order_by=level) for x in ("n", "k")}
    at = at.with_columns(**upto)
    lost, lost_upto = nw.col("n") - nw.col("k"), nw.col("n_upto") - nw.col("k_upto")
    at = at.select(
        nw.col(level),
        (2 * lost_upto - lost).alias(f"{who}_below"),
        (2 * (won - nw.col("k_upto")) + nw.col("k")).alias(f"{who}_above"),
        (((nw.col("n_upto") - 1) * coarse).cast(nw.Float64) / float(rows)).floor().alias(f"{who}_coarse"),
    )
    placed = nw.when(nw.col("w") == 1).then(nw.col(f"{who}_below")).otherwise(nw.col(f"{who}_above"))
    return frame.join(at, on=level, how="left").with_columns(**{f"{who}_placed": placed})


def with_influence(frame: Any, who: str, value: float, rows: int, won: int) -> Any:
    """What each row adds to the AUC of a forecast."""
    lost, is_won = rows - won, nw.col("w") == 1
    placed = nw.col(f"{who}_placed").cast(nw.Float64) / 2.0
    share = nw.when(is_won).then(placed / float(lost)).otherwise(placed / float(won)) - value
    scale = nw.when(is_won).then(nw.lit(rows / won)).otherwise(nw.lit(rows / lost))
    return frame.with_columns(**{f"{who}_adds": share * scale})


# --- gaps ----------------------------------------------------------------------------------------------


def silence_of(frame: Any, silent: str, values: Columns, keys: Sequence[str]) -> dict[str, Silence]:
    """Whether the rows that a column marks differ from the others, by name of what is looked at.

    ``keys`` are the ways of clustering; an empty one stands for single rows.
    """
    found = {}
    for name, value in values.items():
        v = frame.with_columns(v=value).filter(~nw.col("v").is_null())
        for mark, on in (("s", 1), ("o", 0)):
            n = flag(nw.col(silent) == on).cast(nw.Float64)
            v = v.with_columns(**{f"n{mark}": n}).with_columns(
                **{f"x{mark}": nw.col(f"n{mark}") * nw.col("v")}
            )
        parts = ("ns", "xs", "no", "xo")
        n_s, x_s, n_o, x_o = (float(collected(grouped(v, [], sums(parts)))[p].iloc[0]) for p in parts)
        gap = x_s / n_s - x_o / n_o if n_s and n_o else float("nan")
        left = []
        for key in keys if n_s and n_o else ():
            of = grouped(v, [key], sums(parts)) if key else v
            without = (nw.lit(x_s) - nw.col("xs")) / (nw.lit(n_s) - nw.col("ns")) - (
                nw.lit(x_o) - nw.col("xo")
            ) / (nw.lit(n_o) - nw.col("no"))
            of = of.filter((nw.col("ns") < n_s) & (nw.col("no") < n_o)).with_columns(d=without - gap)
            of = of.with_columns(
                d2=nw.col("d") * nw.col("d"), s2=nw.col("ns") * nw.col("ns"), o2=nw.col("no") * nw.col("no")
            )
            t = collected(
                grouped(of, [], {"g": nw.len(), **sums(("d2", "s2", "o2")), "sn": nw.col("ns").sum(), "on": nw.col("no").sum()})
            )
            whole = t.empty or t["sn"].iloc[0] < n_s or t["on"].iloc[0] < n_o
            left.append(
                Left(0, 0.0, 0.0, whole=True)
                if whole
                else Left(
                    int(t["g"].iloc[0]),
                    float(t["d2"].iloc[0]),
                    min(n_s**2 / float(t["s2"].iloc[0]), n_o**2 / float(t["o2"].iloc[0])),
                )
            )
        found[name] = judged(x_s / n_s if n_s else float("nan"), x_o / n_o if n_o else float("nan"), left)
    return found
