"""The states of deals at any moments, found where their versions lie: DuckDB, Polars, Spark, a warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecasteval.errors import CallError, InputError, nearest
from forecasteval.tables.calendar import moment
from forecasteval.tables.schemas import STATES
from forecasteval.tables.settings import Settings, check_options

if TYPE_CHECKING:  # what every start would pay for is imported where an engine is asked
    import narwhals as nw

_KEY = ("deal_id", "valid_from", "valid_to")
_SAID = ("values_state", "rep_state")


def states(
    versions: Any, moments: Any, *, timezone: str = "UTC", cut_off_hour: float = 24, open_only: bool = False
) -> Any:
    """What was known of every deal at some moments, from its versions: a range join, formed where these lie.

    The version that holds at t is the one with valid_from <= t < valid_to; of two that begin at the same instant the
    last one holds. The states are those that `fe.match` finds for an organisation in memory.

    Parameters
    ----------
    versions : table of any engine: a DuckDB relation, a lazy frame of Polars, a table of PySpark or ibis, which are
        asked rather than read; or a frame of pandas, Polars or pyarrow. A row is one version of a deal: `deal_id`,
        `valid_from` and `valid_to` (dates or moments in UTC, `valid_to` empty where it still holds), any fields, and
        `values_state` and `rep_state` where it is recorded which values are *known*, *carried* or *unknown*. Versions
        of a deal must not overlap: where they do, each of them is returned. A deal that was deleted has no version
        from then on.
    moments : a day or a list of days, each of which stands for its end; or moments that carry a time zone, such as
        "2026-02-28 10:00+01:00".
    timezone : where a day ends.
    cut_off_hour : when a day ends, in hours since midnight there; what is recorded then belongs to the next.
    open_only : leave out deals that are known to be closed by then (`status` won or lost).

    Returns
    -------
    table of the same engine, in no order: a row for each deal and moment at which it existed, with `deal_id`,
        `as_of` (the day; or the moment, in UTC), the other columns of its version, and `state`, the worse of
        `values_state` and `rep_state`: known where neither column is there, unknown where one is empty.

    Raises
    ------
    CallError
        For what is no table of versions, and for moments that are neither days nor carry a zone; says what was found.
    InputError
        For a time zone or a cut-off that does not exist.

    Examples
    --------
    >>> import duckdb
    >>> versions = duckdb.sql('''
    ...     select * from (values
    ...         ('D1', timestamp '2026-01-05 10:00', timestamp '2026-02-03 09:00', 5::double, 'known'),
    ...         ('D1', timestamp '2026-02-03 09:00', null, 9, 'carried')
    ...     ) as v(deal_id, valid_from, valid_to, amount, values_state)''')
    >>> states(versions, ["2026-01-04", "2026-02-02", "2026-02-03"]).select("as_of", "amount", "state").fetchall()
    [(datetime.date(2026, 2, 2), 5.0, 'known'), (datetime.date(2026, 2, 3), 9.0, 'carried')]
    """
    import narwhals as nw

    try:
        given = nw.from_native(versions)
    except TypeError as error:
        raise CallError(
            f"This is a {type(versions).__name__}, not a table of versions with {', '.join(_KEY)}."
        ) from error
    days, instants = _asked(moments, timezone, cut_off_hour)
    eager = isinstance(given, nw.DataFrame)
    frame: Any = given
    if eager:
        frame = given.lazy(None if given.implementation.is_polars() else "duckdb")
    schema = frame.collect_schema()
    kind = nw.Datetime("us", "UTC" if _checked(schema, open_only) else None)
    moment_of = _Literal(kind, spark=frame.implementation.is_spark_like())
    if open_only:
        closed = (nw.col("status") == "won") | (nw.col("status") == "lost")
        frame = frame.filter(~closed | nw.col("status").is_null())
    start, end = (nw.col(n).cast(kind) if schema[n] == nw.Date else nw.col(n) for n in _KEY[1:])
    # what still holds ends after all that is asked, which leaves two comparisons for the join
    never = moment_of.cast(nw.lit(moment_of.value(max(instants) + pd.Timedelta(days=1))))
    frame = frame.with_columns(valid_from=start, valid_to=end.fill_null(never))
    place = nw.col("place")
    places = list(range(len(days)))
    asked = frame.head(1).select(place=nw.lit(places)).explode("place")
    at = place.replace_strict(places, [moment_of.value(t) for t in instants], default=None)
    asked = asked.select(as_of=place.replace_strict(places, days, default=None), moment=moment_of.cast(at))
    found = frame.join(asked, how="cross").filter(
        nw.col("valid_from") <= nw.col("moment"), nw.col("valid_to") > nw.col("moment")
    )
    fields = [n for n in schema.names() if n not in _KEY]
    found = found.select("deal_id", "as_of", *fields, state=_worst([n for n in _SAID if n in fields]))
    return found.collect(given.implementation).to_native() if eager else found.to_native()


@dataclass(frozen=True)
class _Literal:
    """How a moment is written into a query: a naive one as text for Spark, whose literals are of its session's zone."""

    kind: nw.Datetime
    spark: bool

    @property
    def _as_text(self) -> bool:
        return self.spark and self.kind.time_zone is None

    def value(self, moment: pd.Timestamp) -> Any:
        return str(moment) if self._as_text else moment.tz_localize(self.kind.time_zone).to_pydatetime()

    def cast(self, written: nw.Expr) -> nw.Expr:
        return written.cast(self.kind) if self._as_text else written


def _worst(said: list[str]) -> nw.Expr:
    """The worst of some states; what says none is unknown."""
    import narwhals as nw

    known, carried, unknown = (nw.lit(s) for s in STATES)
    if not said:
        return known
    all_known = nw.all_horizontal(*(nw.col(n) == STATES[0] for n in said), ignore_nulls=False)
    # words one by one: DuckDB searches a list slowly
    told = [(nw.col(n) == STATES[0]) | (nw.col(n) == STATES[1]) for n in said]
    all_told = nw.all_horizontal(*told, ignore_nulls=False)
    return nw.when(all_known).then(known).otherwise(nw.when(all_told).then(carried).otherwise(unknown))


def _asked(moments: Any, timezone: str, cut_off_hour: float) -> tuple[list[Any], list[pd.Timestamp]]:
    """What each moment is called, and the last instant (naive, UTC) that it may know of."""
    options = {"timezone": timezone, "cut_off_hour": cut_off_hour}
    if problems := check_options(options, {n: n for n in options}):
        raise InputError(problems)
    single = isinstance(moments, str) or not hasattr(moments, "__iter__")
    try:
        stamps = list(dict.fromkeys(pd.Timestamp(m) for m in ([moments] if single else moments)))
    except (ValueError, TypeError) as error:
        raise CallError(f"moments holds what is neither a day nor a moment ({error}).") from error
    if not stamps or any(t is pd.NaT for t in stamps):
        raise CallError("moments is empty or holds an empty cell; name a day such as 2026-02-28.")
    if all(t.tz is not None for t in stamps):
        instants = [t.tz_convert("UTC").tz_localize(None).floor("us") for t in stamps]
        return [t.to_pydatetime() for t in instants], instants
    clock = [t for t in stamps if t.tz is not None or t != t.normalize()]
    if clock:
        raise CallError(
            f"moments holds {clock[0]}: expected are days (2026-02-28), which stand for their end, or moments that "
            "all carry a time zone (2026-02-28 10:00+01:00)."
        )
    ends = moment(pd.DatetimeIndex(stamps), Settings(timezone=timezone, cut_off_hour=cut_off_hour))
    return [t.date() for t in stamps], list(ends - pd.Timedelta(microseconds=1))


def _checked(schema: Any, open_only: bool) -> bool:
    """Do the versions carry a time zone? What is no table of versions is refused."""
    import narwhals as nw

    names = schema.names()
    missing = [n for n in (*_KEY, *(["status"] if open_only else [])) if n not in names]
    wrong = [f"There is no column {n}. {nearest(n, names)}".strip() for n in missing]
    spans = [n for n in _KEY[1:] if n in names]
    wrong += [
        f"{n} holds {schema[n]}, not dates or moments."
        for n in spans
        if not isinstance(schema[n], nw.Date | nw.Datetime)
    ]
    wrong += [
        f"{n} is a column of the result; rename it." for n in ("as_of", "moment", "state") if n in names
    ]
    zones = {getattr(schema[n], "time_zone", None) is not None for n in spans}
    if len(zones) > 1:
        wrong.append("One of valid_from and valid_to carries a time zone, the other does not.")
    if wrong:
        raise CallError("\n".join(wrong))
    return zones == {True}
