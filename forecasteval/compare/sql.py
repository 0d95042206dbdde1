"""The sums of a comparison as queries for a warehouse that data may not leave, and what these give, read back.

The queries are those of :mod:`forecasteval.compare.engine`, written for an empty table of DuckDB and put into another
dialect by sqlglot. Their results are a row for each cell, each cluster's deals, and the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from forecasteval.matching.ids import joined_ids
from forecasteval.matching.matched import ROUNDING
from forecasteval.scores.probability import DEFAULT_METRICS, METRICS, Metric

DIALECTS = ("bigquery", "databricks", "duckdb", "postgres", "snowflake")
_WHOLE = ("asked", "asked_deals", "kept_deals", "crossed_deals", "no_c", "no_b", "filled")
_MARKED = ("kept", "crossed", *(f"no_{mark}" for mark in dict.fromkeys(MARKS.values())))
_NAME = "matched_rows"
_PLAIN = re.compile("[a-z_][a-z0-9_]*")
_WORD = re.compile(r"""(?:'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|`[^`]*`|[^\s'"`])+\s*""")


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
    said = "".join(', "{}" double'.format(n.replace('"', '""')) for n in (ask.candidate, ask.baseline))
    connection.execute(
        f"create table {_NAME} (deal_id varchar, as_of timestamp, {dims}{money}won integer{said})"
    )
    frame = nw.from_native(connection.table(_NAME))
    trees = (
        sqlglot.parse_one(f(frame, ask).to_native().sql_query(), read="duckdb") for f in (_cells, _curve)
    )
    cells, curve = (_text(*_readable(tree, table, dialect), dialect) for tree in trees)
    return cells, curve


def _readable(tree: Any, table: str, dialect: str) -> tuple[list[Any], list[Any]]:
    """The steps of a query of a warehouse's own table and the selects that it unites at the end.

    What DuckDB's printer adds and a reader does not need is taken away.
    """
    from sqlglot import exp

    for group in [g for g in tree.find_all(exp.Group) if g.args.get("all")]:
        group.pop()  # DuckDB's word for the whole, which others lack
    for cte in tree.ctes:
        cte.set("materialized", None)
        cte.args["alias"].this.replace(_step(cte.alias))
    in_capitals = _keeps_capitals(dialect)
    for node in list(tree.find_all(exp.Table)):
        if node.name == _NAME:
            for name in node.find_ancestor(exp.Select).find_all(exp.Identifier):
                if in_capitals and isinstance(name.parent, exp.Column) and _PLAIN.fullmatch(name.name):
                    name.set("quoted", False)
            node.replace(exp.to_table(table, dialect=dialect))
        else:
            node.replace(exp.Table(this=_step(node.name)))
    for paren in list(tree.find_all(exp.Paren)):  # around what is one without them, or alone where it stands
        one, around = paren.this, paren.parent
        if (isinstance(one, exp.Column | exp.Func | exp.Paren) and not isinstance(one, exp.Binary)) or (
            isinstance(around, exp.Alias | exp.Where | exp.Func) and not isinstance(around, exp.Binary)
        ):
            paren.replace(one)
    for alias in list(tree.find_all(exp.Alias)):
        if isinstance(alias.this, exp.Column) and alias.this.this == alias.args["alias"]:
            alias.replace(alias.this)
    # the united selects stand side by side, and the first alone gives names and types
    named = {cte.alias: cte for cte in tree.ctes}
    united = [select.copy() for select in _united(tree, named)]
    for select in united[1:]:
        for cast in [c for c in select.find_all(exp.Cast) if isinstance(c.this, exp.Null)]:
            cast.parent.replace(exp.Null())
    used = {t.name for select in united for t in select.find_all(exp.Table)}
    for name, cte in reversed(named.items()):
        if name in used:
            used |= {t.name for t in cte.this.find_all(exp.Table)}
    return [cte for name, cte in named.items() if name in used], united


def _keeps_capitals(dialect: str) -> bool:
    """Does a system find plain names in quotes only as capitals, as Snowflake does?"""
    from sqlglot.dialects.dialect import Dialect, NormalizationStrategy

    return Dialect.get_or_raise(dialect).normalization_strategy is NormalizationStrategy.UPPERCASE


def _step(name: str) -> Any:
    from sqlglot import exp

    return exp.to_identifier(name.replace("__duckdb_s", "step_"))


def _united(select: Any, named: Mapping[str, Any]) -> Iterator[Any]:
    """The selects that a query unites."""
    from sqlglot import exp

    if isinstance(select, exp.Union):
        yield from _united(select.this, named)
        yield from _united(select.expression, named)
    elif select.is_star:
        yield from _united(named[select.find(exp.Table).name].this, named)
    else:
        yield select


def _text(steps: Sequence[Any], united: Sequence[Any], dialect: str) -> str:
    """A query as lines of at most 110 letters, one step after the other."""
    named = [f"{step.alias} AS (\n{_lines(step.this.sql(dialect))}\n)" for step in steps]
    selects = "\nUNION ALL\n".join(_lines(select.sql(dialect)) for select in united)
    return f"WITH {', '.join(named)}\n{selects};\n"


def _lines(text: str) -> str:
    """Broken at spaces that are not within a name or a text."""
    lines = [""]
    for word in _WORD.findall(text):
        if len(lines[-1]) + len(word) > 110 and lines[-1]:
            lines.append("")
        lines[-1] += word
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def _number(name: str) -> nw.Expr:
    """A column of numbers; what is no number (NaN) is a gap, which no two systems compare alike."""
    value = nw.col(name).cast(nw.Float64)
    return nw.when(value.cast(nw.String).str.to_lowercase() == "nan").then(None).otherwise(value)


def _moved(p: nw.Expr) -> nw.Expr:
    """A probability that lies outside by rounding, moved to 0 or 1; others outside are refused."""
    return nw.when(p < 0).then(engine.NONE).otherwise(nw.when(p > 1).then(engine.ONE).otherwise(p))


def _read(frame: Any, ask: Ask) -> Any:
    """The rows under names of their own, with the gaps told; of columns that may be of other types there."""
    text = nw.col("won").cast(nw.String).str.to_lowercase()  # truth values are no numbers to most warehouses
    won = nw.when(text == "false").then(engine.NONE).otherwise(text.cast(nw.Float64))
    columns = {
        "u": nw.col("deal_id"),
        "as_of": nw.col("as_of"),
        "said_c": _number(ask.candidate),
        "said_b": _number(ask.baseline),
        "w": nw.when(text == "true").then(engine.ONE).otherwise(won),
        **{d: nw.col(d).cast(nw.String).str.strip_chars() for d in ask.dimensions},
    }
    money = any(m.needs for m in ask.metrics)
    if money:
        columns["amount"] = _number("amount")
    if money and ask.amount_won:
        columns["booked"] = _number("amount_won")
    read = frame.select(**columns)
    read = read.with_columns(**{w: _moved(nw.col(f"said_{w}")) for w in "cb"})
    if money and not ask.amount_won:
        read = read.with_columns(
            booked=nw.when(nw.col("w") == 1).then(nw.col("amount")).otherwise(engine.NONE)
        )
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
    marks = {mark: flag(ok) for mark, ok in usable.items()}
    missing = {f"no_{mark}": flag(~ok) for mark, ok in usable.items()}
    return frame.with_columns(kept=engine.ONE, **marks, **missing)


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
    there = set(read.collect_schema().names())
    wrong = {
        f"outside_{w}": flag((nw.col(f"said_{w}") < -ROUNDING) | (nw.col(f"said_{w}") > 1 + ROUNDING))
        for w in "cb"
    }
    needed = {"u", *({"rep", "period"} & set(keys)), *(("as_of",) if several else ())}
    for n in sorted(needed):
        empty = (
            nw.col(n).is_null() if n == "as_of" else nw.col(n).is_null() | (nw.col(n).cast(nw.String) == "")
        )
        wrong[f"empty_{n}"] = flag(empty)
    for n in sorted(there & {"amount", "booked"}):
        wrong[f"huge_{n}"] = flag(nw.col(n).abs() > rows.LARGEST_AMOUNT)
    if ask.amount_won and "booked" in there:
        wrong["booked_lost"] = flag((nw.col("w") == 0) & (nw.col("booked") != 0))
    wrong["not_won"] = flag(~((nw.col("w") == 0) | (nw.col("w") == 1)) | nw.col("w").is_null())
    counts = sums(("asked", "no_c", "no_b", "filled", *wrong))
    whole = grouped(read.with_columns(**wrong), [], counts).with_columns(**known)
    levels["whole"] = whole
    if several:
        looks = grouped(read, ["u", "as_of"], {"n": nw.col("asked").sum()})
        levels["repeated"] = grouped(looks.with_columns(repeated=nw.col("n") - 1), [], sums(("repeated",)))
        levels["deals"] = _deals(read, ("asked", "no_c", "no_b"))
        levels["kept deals"] = _deals(settled, [n for n in settled.collect_schema().names() if n in _MARKED])
    for gap, others in _gaps(ask).items():
        losses = {"won": nw.col("w"), **{w: squared(w) for w in others}}
        columns = {f"gap__n_{n}": flag(~term.is_null()) for n, term in losses.items()}
        columns |= {f"gap__x_{n}": term for n, term in losses.items()}
        columns |= {f"gap__xx_{n}": term * term for n, term in losses.items()}
        rows_of = (read if gap in ("no_c", "no_b") else settled).with_columns(
            gap__silent=nw.col(gap), **columns
        )
        levels[gap] = grouped(rows_of, [*keys, "gap__silent"], sums(columns))
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


def _deals(frame: Any, names: Iterable[str]) -> Any:
    """How many deals have a row that a column marks."""
    of = grouped(frame, ["u"], {f"{n}_deals": nw.col(n).max() for n in names})
    return grouped(of, [], sums(f"{n}_deals" for n in names))


def _gaps(ask: Ask) -> dict[str, str]:
    """What may be missing in which rows, and whose losses are looked at there."""
    return {"no_c": "b", "no_b": "c"} | {f"no_{MARKS[m.name]}": "cb" for m in ask.metrics if m.needs}


def _is_float(name: str) -> bool:
    return name.rsplit("__", 1)[-1].split("_")[0] in (
        "total",
        "square",
        "heaviest",
        "x",
        "xx",
        *"cbz",
        *PRODUCTS,
    )


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
    _refuse_without(level, ("all", "whole"))
    _refuse(level)
    ask = _ask(cells, level, ranked=curve is not None)
    _refuse_without(level, _gaps(ask))
    keys, blocks = list(ask.dimensions), ask.blocks
    grains = {b.name: Grain(0, 0) for b in blocks}  # plain sums
    summed = {of: part.dropna(axis=1, how="all") for of, part in level.items()}
    counted = [level[o].iloc[0].dropna() for o in ("whole", "deals", "kept deals") if o in level]
    whole = {
        str(n): int(v) for of in counted for n, v in of.items() if n in _WHOLE or str(n).endswith("_deals")
    }
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
    silences = {g: _silence(ask, summed[g], g, whole) for g in _gaps(ask)}
    told, flow = _told(ask, whole)
    told = [*silences["no_c"], *silences["no_b"], *told]
    rankings = None if curve is None else _rankings(ask, curve.rename(columns=str.lower), told)
    notes: dict[str, tuple[Reason, ...]] = {}
    for m in (m for m in ask.metrics if m.needs):
        said = [rows.BOOKED_ASSUMED] if m.name == "bias_by_amount" and not ask.amount_won else []
        lost = int(by_cell["kept__rows"].sum() - by_cell[f"{MARKS[m.name]}__rows"].sum())
        notes[m.name] = (*said, *([rows.no_amount(lost), *silences[f"no_{MARKS[m.name]}"]] if lost else []))
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


def _refuse_without(level: Mapping[str, pd.DataFrame], needed: Iterable[str]) -> None:
    """A result that lacks rows which the query gives, such as one of an older query."""
    if missing := [of for of in needed if of not in level]:
        raise CallError(
            f"The table of cells has no rows with `of` {', '.join(missing)}; the query gives them all."
        )


def _refuse(level: Mapping[str, pd.DataFrame]) -> None:
    """Rows that are no matched table, by what the query has counted."""
    whole = level["whole"].iloc[0]
    found = whole.filter(regex="^(outside|empty|huge|booked|not)_").dropna().astype(int)
    counts = {str(n): f"{v:,}" for n, v in found.items() if v}
    wrong = [
        rows.is_empty(column, counts[f"empty_{n}"], "")
        for n, column in (("rep", "rep"), ("period", "period"), ("u", "deal_id"), ("as_of", "as_of"))
        if f"empty_{n}" in counts
    ]
    wrong += [rows.not_won(counts["not_won"], "")] if "not_won" in counts else []
    wrong += [
        rows.no_money(column, counts[f"huge_{n}"], "")
        for n, column in (("amount", "amount"), ("booked", "amount_won"))
        if f"huge_{n}" in counts
    ]
    wrong += [rows.booked_lost(counts["booked_lost"], "")] if "booked_lost" in counts else []
    wrong += [
        f"{whole[who]} holds {counts[n]} values outside 0-1. Divide percentages by 100; a rank score cannot be compared "
        "this way."
        for n, who in (("outside_c", "candidate"), ("outside_b", "baseline"))
        if n in counts
    ]
    if "repeated" in level and (again := int(level["repeated"]["repeated"].fillna(0).iloc[0])):
        wrong.append(rows.repeated(f"{again:,}", ""))
    if wrong:
        raise CallError(" ".join(wrong))
    if whole["no_b"] == whole["asked"]:
        raise CallError(
            f"{whole['baseline']} is silent on all {int(whole['asked']):,} rows: there is nothing to compare."
        )
    _refuse_without(level, ["cell"])
    names = [d for d in ("rep", "period", "account") if d in level["cell"]]
    if level["cell"].duplicated(names).any():
        raise CallError(
            f"Sums of one {' and '.join(names)} stand twice in the table of cells. Hand over the path of the CSV as it came: names "
            "such as 3 and 3.0 are one where they are read as numbers."
        )
    for d in names:
        _, said = joined_ids(level["cell"][d].dropna().astype(object), d)
        if said:
            raise CallError(
                f"{said} Sums cannot be put together any more: write each in one way in a view, and ask of that."
            )


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


def _silence(ask: Ask, of: pd.DataFrame, gap: str, whole: Mapping[str, int]) -> list[Reason]:
    """What tells that the rows with a gap are not like the others, by single rows and by the clusters of each dimension."""
    names = {"c": ask.candidate, "b": ask.baseline}
    silent = of.loc[of["gap__silent"] == 1, "gap__n_won"].sum()
    asked = whole["asked_deals" if gap in ("no_c", "no_b") else "kept_deals"]
    if not rows.enough_silence(int(whole.get(f"{gap}_deals", silent)), asked):
        return []
    found = {}
    for who in ("won", *_gaps(ask)[gap]):
        known = of[of[f"gap__n_{who}"] > 0]
        parts = [known[known["gap__silent"] == s] for s in (1, 0)]
        at = [f"gap__{c}_{who}" for c in ("n", "x", "xx")]
        n, x, xx = (np.array([part[c].sum() for part in parts], dtype=float) for c in at)
        if n.min() < 2:
            continue
        square = float(((xx - x * x / n) / (n - 1) ** 2).sum())
        left = [Left(int(n.sum()), square, float(n.min()))]
        for d in ask.dimensions:
            every = pd.Index(known[d].unique())
            by = [part.groupby(d)[[at[1], at[0]]].sum().reindex(every, fill_value=0) for part in parts]
            left.append(left_by([(t[at[1]].to_numpy(float), t[at[0]].to_numpy(float)) for t in by]))
        found[names.get(who, "")] = judged(float(x[0] / n[0]), float(x[1] / n[1]), left)
    what = f"{names[gap[-1]]} is silent" if gap in ("no_c", "no_b") else "the amount is missing"
    return rows.silence_tells(what, found)


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
        columns = pd.read_csv(table, nrows=0).columns
        labels = [
            c for c in columns if c.lower() in ("rep", "period", "account")
        ]  # one may be called NA, or 3.0
        empty = {c: [""] if c in labels else ["", "null", "NULL", "NaN", "nan", "\\N"] for c in columns}
        return pd.read_csv(table, dtype=dict.fromkeys(labels, str), keep_default_na=False, na_values=empty)
    except (OSError, ValueError) as error:
        raise CallError(f"{table} cannot be read as CSV: {error}") from error


def metrics_of(names: Iterable[str]) -> tuple[Metric, ...]:
    """Metrics by their names; what is none is refused."""
    names = list(names)
    if unknown := [n for n in names if n not in METRICS]:
        raise CallError(f"Unknown metric {', '.join(map(repr, unknown))}; choose from {', '.join(METRICS)}.")
    return tuple(METRICS[n] for n in names)
