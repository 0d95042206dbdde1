"""The sums of a comparison as queries for a warehouse that data may not leave, and what these give, read back.

The queries are those of :mod:`forecasteval.compare.engine`, written for an empty table of DuckDB and put into another
dialect by sqlglot. Their results are a row for each cell, each cluster's deals, and the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from forecasteval.compare import engine, hindsight, rows
from forecasteval.compare.cells import PRODUCTS, Cells, Ranking, in_seconds
from forecasteval.compare.engine import Block, flag, grouped, sums
from forecasteval.compare.remote import MARKS, ranking_from, squared, usable_amounts
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Reason
from forecasteval.inference.exact_sums import Grain
from forecasteval.inference.silence import Left, judged, left_by
from forecasteval.scores.probability import DEFAULT_METRICS, METRICS, Metric

DIALECTS = ("bigquery", "databricks", "duckdb", "postgres", "snowflake")
_WHOLE = ("asked", "asked_deals", "kept", "kept_deals", "crossed_deals", "no_c", "no_b", "filled")
_NAME = "matched_rows"


@dataclass(frozen=True)
class Ask:
    """What is asked of a table elsewhere."""

    candidate: str
    baseline: str
    metrics: tuple[Metric, ...]
    dimensions: tuple[str, ...] = ("rep", "period")
    one_row_per_deal: bool = False
    amount_won: bool = False
    digits: int | None = None

    @property
    def blocks(self) -> list[Block]:
        """Sets of terms: those of the metrics, and what both promised."""
        found = []
        for m in self.metrics:
            if m.name == "auc":
                found.append(Block("auc", "auc", counted=False))
            elif m.needs:
                found += [
                    Block(m.name, m.name, MARKS[m.name], all_usable=False),
                    Block(f"{m.name}_and_bias", "bias", MARKS[m.name], all_usable=False),
                ]
            else:
                found.append(Block(m.name, m.name, sure=True))
        return found if any(b.name == "bias" for b in found) else [*found, Block("bias", "bias")]


def queries(table: str, ask: Ask, dialect: str) -> tuple[str, str]:
    """The queries for `cells` and `curve`.

    Parameters
    ----------
    table : the matched table's name in the warehouse
    dialect : one of :data:`DIALECTS`

    Raises
    ------
    CallError
        For a dialect that is not known, and where sqlglot is not installed.
    """
    if wrong := [d for d in ask.dimensions if d not in ("rep", "period", "account")]:
        raise CallError(f"Sums are formed by rep, period or account, not by {', '.join(wrong)}.")
    if dialect not in DIALECTS:
        raise CallError(f"There is no dialect {dialect!r}; choose from {', '.join(DIALECTS)}.")
    try:
        import sqlglot
    except ImportError as error:
        raise CallError(
            "Queries for other systems are written by sqlglot, which is not installed: pip install "
            "'deal-forecasteval[sql]'."
        ) from error
    import duckdb

    connection = duckdb.connect()
    money = "amount double, amount_won double, " if ask.amount_won else "amount double, "
    dims = "".join(f"{d} varchar, " for d in ask.dimensions)
    connection.execute(
        f"create table {_NAME} (deal_id varchar, as_of timestamp, {dims}{money}won integer, "
        f'"{ask.candidate}" double, "{ask.baseline}" double)'
    )
    frame = nw.from_native(connection.table(_NAME))
    found = []
    for lazy in (_cells(frame, ask), _curve(frame, ask)):
        tree = sqlglot.parse_one(lazy.to_native().sql_query(), read="duckdb")
        for part in list(tree.find_all(sqlglot.exp.CTE)):
            part.set("materialized", None)
        for group in [g for g in tree.find_all(sqlglot.exp.Group) if g.args.get("all")]:
            group.pop()  # DuckDB's word for the whole, which others lack
        for node in list(tree.find_all(sqlglot.exp.Table)):
            if node.name == _NAME:
                where = sqlglot.exp.to_table(table, dialect=dialect)
                node.replace(where.as_(node.alias) if node.alias else where)
        found.append(tree.sql(dialect=dialect, pretty=True) + ";\n")
    return found[0], found[1]


def _number(name: str) -> nw.Expr:
    return nw.col(name).cast(nw.Float64)


def _read(frame: Any, ask: Ask) -> Any:
    """The rows under names of their own, with the gaps told."""

    columns = {
        "u": nw.col("deal_id"),
        "as_of": nw.col("as_of"),
        "c": _number(ask.candidate),
        "b": _number(ask.baseline),
        "w": nw.col("won").cast(nw.Float64),
        **{d: nw.col(d).str.strip_chars() for d in ask.dimensions},
    }
    if any(m.needs for m in ask.metrics):
        columns["amount"] = _number("amount")
        booked = nw.when(columns["w"] == 1).then(columns["amount"]).otherwise(nw.lit(0.0))
        columns["booked"] = _number("amount_won") if ask.amount_won else booked
    read = frame.select(**columns)
    if "account" in ask.dimensions:
        named = nw.when(nw.col("account") != "").then(nw.col("account")).otherwise(None)
        read = engine.with_accounts(read.with_columns(account=named))
    return read.with_columns(**engine.gaps(), asked=engine.ONE)


def _settled(read: Any, ask: Ask) -> Any:
    """The rows that count: gaps filled, each deal with the rep of its first row."""
    frame = engine.stood_in(read)
    if "rep" in ask.dimensions and not ask.one_row_per_deal:
        frame = engine.with_home(frame, "as_of")
        frame = frame.with_columns(crossed=flag(nw.col("home") != nw.col("rep")), rep=nw.col("home"))
    usable = usable_amounts(frame.collect_schema().names())
    return frame.with_columns(kept=engine.ONE, **{mark: flag(ok) for mark, ok in usable.items()})


def _cells(frame: Any, ask: Ask) -> Any:
    """Every level's sums under one another; what a level does not have is empty."""
    read = _read(frame, ask)
    settled = _settled(read, ask)
    several = not ask.one_row_per_deal
    terms = engine.with_terms(settled, ask.blocks, None, 0.0)
    keys = list(ask.dimensions)
    levels = {"cell": engine.cell_sums(terms, keys)}
    if "period" in keys:
        first = grouped(read, ["period"], {"first": nw.col("as_of").min()})
        levels["first"] = first.with_columns(first=nw.col("first").cast(nw.String))
    for d in (*keys, "") if several else ("",):
        levels[d or "all"] = engine.deal_sums(terms, [d] if d else [], ask.blocks, None, several=several)
    about = {"candidate": nw.lit(ask.candidate), "baseline": nw.lit(ask.baseline)}
    known = {**about, "amount_won": nw.lit(int(ask.amount_won))}
    wrong = {f"outside_{w}": flag((nw.col(w) < 0) | (nw.col(w) > 1)) for w in "cb"}
    wrong["not_won"] = flag(~((nw.col("w") == 0) | (nw.col("w") == 1)) | nw.col("w").is_null())
    counts = sums(("asked", "no_c", "no_b", "filled", *wrong))
    whole = grouped(read.with_columns(**wrong), [], counts).with_columns(**known)
    levels["whole"] = whole
    counted = []
    if several:
        counted += [("kept_deals", settled, "asked"), ("asked_deals", read, "asked")]
        looks = grouped(read, ["u", "as_of"], {"n": nw.col("asked").sum()})
        levels["repeated"] = grouped(looks.with_columns(repeated=nw.col("n") - 1), [], sums(("repeated",)))
    if several and "rep" in keys:
        counted.append(("crossed_deals", settled, "crossed"))
    for of, rows_of, column in counted:
        levels[of] = grouped(grouped(rows_of, ["u"], {of: nw.col(column).max()}), [], sums((of,)))
    for gap, rows_of, others in _gaps(read, settled, ask):
        for name, term in {"won": nw.col("w"), **{w: squared(w) for w in others}}.items():
            known = rows_of.with_columns(gap__n=engine.ONE, gap__x=term, gap__xx=term * term)
            known, summed = known.filter(~nw.col("gap__x").is_null()), sums(("gap__n", "gap__x", "gap__xx"))
            levels[f"{gap} {name}"] = grouped(known, [*keys, "gap__silent"], summed)
        if several:
            deals = grouped(rows_of, ["u"], {"gap__n": nw.col("gap__silent").max()})
            levels[f"{gap} deals"] = grouped(deals, [], sums(("gap__n",)))
    names: dict[str, None] = {}
    for level in levels.values():
        names |= dict.fromkeys(level.collect_schema().names())
    texts = {"first", *about, *keys}
    under = []
    for of, level in levels.items():
        there = set(level.collect_schema().names())
        columns = {}
        for n in names:
            kind = nw.String if n in texts else nw.Float64 if _is_float(n) else nw.Int64
            value = nw.col(n) if n in there else nw.lit(None)
            columns[n] = value.cast(kind)
        under.append(level.select(of=nw.lit(of), **columns))
    return nw.concat(under, how="vertical")


def _gaps(read: Any, settled: Any, ask: Ask) -> Iterator[tuple[str, Any, str]]:
    """What may be missing in which rows, marked by `gap__silent`, and whose losses are looked at there."""
    yield "no_c", read.with_columns(gap__silent=nw.col("no_c")), "b"
    yield "no_b", read.with_columns(gap__silent=nw.col("no_b")), "c"
    for m in (m for m in ask.metrics if m.needs):
        yield MARKS[m.name], settled.with_columns(gap__silent=engine.ONE - nw.col(MARKS[m.name])), "cb"


def _is_float(name: str) -> bool:
    return name.rsplit("__", 1)[-1] in ("total", "square", "heaviest", "x", "xx", *"cbz", *PRODUCTS)


def _curve(frame: Any, ask: Ask) -> Any:
    """Rows and wins at each value of both forecasts, by cell."""
    settled = _settled(_read(frame, ask), ask)
    found = []
    for who, name in (("c", ask.candidate), ("b", ask.baseline)):
        value = nw.col(who) if ask.digits is None else nw.col(who).round(ask.digits)
        at = settled.with_columns(value=value, one=nw.lit(1), won=nw.col("w").cast(nw.Int64))
        summed = grouped(
            at, [*ask.dimensions, "value"], {"rows": nw.col("one").sum(), "won": nw.col("won").sum()}
        )
        columns = {c: nw.col(c).cast(nw.Int64) for c in ("rows", "won")}
        keys = {d: nw.col(d) for d in ask.dimensions}
        found.append(summed.select(forecaster=nw.lit(name), **keys, value=nw.col("value"), **columns))
    return nw.concat(found, how="vertical")


# --- read back --------------------------------------------------------------------------------------------


def cells_of(cells: pd.DataFrame, curve: pd.DataFrame | None) -> Cells:
    """The evidence that the results of the two queries are.

    Raises
    ------
    CallError
        Where columns or rows are missing that the queries give; says which.
    """
    cells = cells.rename(columns=str.lower)
    if missing := [c for c in ("of", "candidate", "baseline", "asked") if c not in cells]:
        raise CallError(
            f"The table of cells has no column {', '.join(missing)}. Expected is what the first query of `forecasteval sql "
            "compare` gives."
        )
    level = {str(of): part.reset_index(drop=True) for of, part in cells.groupby("of")}
    if missing := [of for of in ("cell", "all", "whole") if of not in level]:
        raise CallError(
            f"The table of cells has no rows with `of` {', '.join(missing)}; the query gives them all."
        )
    _refuse(level)
    ask = _ask(cells, level, ranked=curve is not None)
    keys, blocks, at = list(ask.dimensions), ask.blocks, level["whole"].iloc[0]
    grains = {  # queries that an earlier version printed gave multiples of these
        b.name: Grain(*(int(at.get(f"{b.name}__{w}", 0)) for w in ("terms", "products"))) for b in blocks
    }
    summed = {of: part.dropna(axis=1, how="all") for of, part in level.items()}
    whole = {n: int(level[o][n].sum()) for n in _WHOLE if n in cells for o in (_home(n),) if o in level}
    whole = {"asked_deals": whole["asked"], "kept_deals": whole["asked"] - whole["no_b"]} | whole
    several = not ask.one_row_per_deal
    by_cell = engine.settled(summed["cell"], blocks, several=several)
    every = engine.settled(summed["all"], blocks) if several else engine.of_all(by_cell, summed["all"])
    deals = {"": every} | {
        d: engine.settled(summed[d], blocks) if several else engine.added_up(by_cell, d) for d in keys
    }
    if "first" in level:
        by_cell = by_cell.merge(in_seconds(level["first"][["period", "first"]]), on="period")
    else:
        by_cell = by_cell.assign(first=0)
    silences = {g: _silence(ask, level, g, whole) for g in ("no_c", "no_b", *MARKS.values())}
    told, flow = _told(ask, whole)
    told = [*silences["no_c"], *silences["no_b"], *told]
    rankings = None if curve is None else _rankings(ask, curve.rename(columns=str.lower), told)
    notes: dict[str, tuple[Reason, ...]] = {}
    for m in (m for m in ask.metrics if m.needs):
        said = [rows.BOOKED_ASSUMED] if m.name == "bias_by_amount" and not ask.amount_won else []
        lost = int(by_cell["kept__rows"].sum() - by_cell[f"{MARKS[m.name]}__rows"].sum())
        notes[m.name] = (*said, *([rows.no_amount(lost), *silences[MARKS[m.name]]] if lost else []))
    same = [
        b.name for b in blocks if b.counted and (by_cell[f"{b.name}__c"] == by_cell[f"{b.name}__b"]).all()
    ]
    return Cells(
        by_cell.sort_values(keys, ignore_index=True).fillna(0),
        {d: t.fillna(0) for d, t in deals.items()},
        grains,
        {b.name: b.usable for b in blocks},
        frozenset(same),
        ask.dimensions,
        (ask.candidate, ask.baseline),
        ("probability", "probability"),
        frozenset(["amount"] if any(m.needs for m in ask.metrics) else []),
        rankings,
        tuple(told),
        tuple(flow),
        notes,
        whole["asked"],
    )


def _rankings(ask: Ask, curve: pd.DataFrame, told: list[Reason]) -> tuple[Ranking, Ranking]:
    """How both rank, from the result of the second query; and whether one of them knew the outcome."""
    made = []
    for name in (ask.candidate, ask.baseline):
        of = curve[curve["forecaster"] == name].rename(columns={"value": "level"}).reset_index(drop=True)
        if of.empty:
            raise CallError(
                f"The curve has no rows of {name}; the second query gives those of both forecasters."
            )
        made.append(ranking_from(of, list(ask.dimensions)))
        value, n, won = (made[-1].curve[c].to_numpy() for c in ("value", "rows", "won"))
        told += hindsight.told(name, [(value, n, won)], None)
    return made[0], made[1]


def _refuse(level: Mapping[str, pd.DataFrame]) -> None:
    """Rows that are no matched table, by what the query has counted."""
    whole = level["whole"].iloc[0]
    counts = {n: int(whole.get(n, 0)) for n in ("outside_c", "outside_b", "not_won")}
    repeated = int(level["repeated"]["repeated"].iloc[0]) if "repeated" in level else 0
    wrong = [
        f"{whole[who]} holds {counts[n]:,} values outside 0-1. Divide percentages by 100; a rank score cannot be "
        "compared this way."
        for n, who in (("outside_c", "candidate"), ("outside_b", "baseline"))
        if counts[n]
    ]
    if counts["not_won"]:
        wrong.append(f"won must be 0 or 1 in every row; {counts['not_won']:,} rows are not.")
    if repeated:
        wrong.append(
            f"{repeated:,} rows repeat a deal at the same as-of; the table holds one row per deal and as-of."
        )
    if wrong:
        raise CallError(" ".join(wrong))


def _ask(cells: pd.DataFrame, level: Mapping[str, pd.DataFrame], *, ranked: bool) -> Ask:
    """What was asked, from the columns that are there."""
    there = [n for n in METRICS if f"{n}__c" in cells and cells[f"{n}__c"].notna().any()]
    order = [n for n in (*DEFAULT_METRICS, *there) if n in there or (n == "auc" and ranked)]
    whole = level["whole"].iloc[0]
    return Ask(
        str(whole["candidate"]),
        str(whole["baseline"]),
        metrics_of(dict.fromkeys(order)),
        tuple(d for d in ("rep", "period", "account") if d in cells and level["cell"][d].notna().any()),
        amount_won=bool(whole.get("amount_won")),
        one_row_per_deal=not {"rep", "period", "account"} & set(level),
    )


def _silence(ask: Ask, level: Mapping[str, pd.DataFrame], gap: str, whole: Mapping[str, int]) -> list[Reason]:
    """What tells that the rows with a gap are not like the others, by single rows and by the clusters of each dimension."""
    names = {"c": ask.candidate, "b": ask.baseline}
    if (of := level.get(f"{gap} won")) is None:
        return []
    silent = of.loc[of["gap__silent"] == 1, "gap__n"].sum()
    deals = level[f"{gap} deals"]["gap__n"].sum() if f"{gap} deals" in level else silent
    if not rows.enough_silence(int(deals), whole["kept_deals" if gap in MARKS.values() else "asked_deals"]):
        return []
    found = {}
    for who in ("won", *names):
        if (of := level.get(f"{gap} {who}")) is None:
            continue
        parts = [of[of["gap__silent"] == s] for s in (1, 0)]
        n, x, xx = (
            np.array([part[f"gap__{c}"].sum() for part in parts], dtype=float) for c in ("n", "x", "xx")
        )
        if n.min() < 2:
            continue
        square = float(((xx - x * x / n) / (n - 1) ** 2).sum())
        left = [Left(int(n.sum()), square, float(n.min()))]
        for d in ask.dimensions:
            every = pd.Index(of[d].unique())
            by = [part.groupby(d)[["gap__x", "gap__n"]].sum().reindex(every, fill_value=0) for part in parts]
            left.append(left_by([(t["gap__x"].to_numpy(float), t["gap__n"].to_numpy(float)) for t in by]))
        found[names.get(who, "")] = judged(float(x[0] / n[0]), float(x[1] / n[1]), left)
    what = f"{names[gap[-1]]} is silent" if gap[-2] == "_" else "the amount is missing"
    return rows.silence_tells(what, found)


def _home(name: str) -> str:
    return name if name.endswith("_deals") else "whole"


def _told(ask: Ask, whole: dict[str, int]) -> tuple[list[Reason], list[dict[str, Any]]]:
    """What is said of gaps, and the steps to the rows that count."""
    told: list[Reason] = []
    flow = [{"step": "deals in the table", "deals": whole["asked_deals"], "dropped": 0, "why": ""}]
    kept = whole["asked"] - whole["no_b"]
    if whole["filled"]:
        told.append(rows.stood_in((ask.candidate, ask.baseline), whole["filled"], kept))
    if whole["no_b"]:
        step, note = rows.left_out(
            ask.baseline, whole["kept_deals"], whole["asked_deals"], whole["no_b"], whole["asked"], both=False
        )
        flow.append(step)
        told.append(note)
    if away := whole.get("crossed_deals"):
        told.append(rows.crossed(away, whole["kept_deals"]))
    return told, flow


def table_of(table: Any) -> pd.DataFrame:
    """A frame, or a CSV as the warehouse gave it."""
    if isinstance(table, pd.DataFrame):
        return table
    try:
        return pd.read_csv(table)
    except (OSError, ValueError) as error:
        raise CallError(f"{table} cannot be read as CSV: {error}") from error


def metrics_of(names: Iterable[str]) -> tuple[Metric, ...]:
    """Metrics by their names; what is none is refused."""
    names = list(names)
    if unknown := [n for n in names if n not in METRICS]:
        raise CallError(f"Unknown metric {', '.join(map(repr, unknown))}; choose from {', '.join(METRICS)}.")
    return tuple(METRICS[n] for n in names)
