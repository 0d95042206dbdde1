"""The states of deals at any moments, found where their versions lie: DuckDB, Polars, Spark, a warehouse."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.errors import CallError, InputError, nearest
from forecasteval.sources.history import held
from forecasteval.tables.calendar import moment
from forecasteval.tables.schemas import STATES
from forecasteval.tables.settings import Settings, check_options

if TYPE_CHECKING:  # what every start would pay for is imported where an engine is asked
    import narwhals as nw

    Columns = dict[str, nw.Expr]

_KEY = ("deal_id", "valid_from", "valid_to")
_SAID = ("values_state", "rep_state")
_BEFORE = "the first instant that is not known"
_EXPECTED = (
    "expected are days (2026-02-28), which stand for their end, or moments that all carry a time zone "
    "(2026-02-28 10:00+01:00)."
)
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2}(:\d{2})?)?)?")
# what stamps of nanoseconds can hold, into which some engines turn the others
_YEARS = range(1700, 2201)
_NEVER = "2261-01-01"


def states(
    versions: Any, moments: Any, *, timezone: str = "UTC", cut_off_hour: float = 24, open_only: bool = False
) -> Any:
    """What was known of every deal at some moments, from its versions: a range join, formed where these lie.

    The version that holds at t is the one with valid_from <= t < valid_to, to the microsecond; of two that begin at
    the same instant the last one holds. The states are those that `fe.match` finds for an organisation in memory.

    Parameters
    ----------
    versions : table of any engine: a DuckDB relation, a lazy frame of Polars, a table of PySpark or ibis, which are
        asked rather than read; or a frame of pandas, Polars or pyarrow. A row is one version of a deal: `deal_id`,
        `valid_from` and `valid_to` (dates or moments in UTC, `valid_to` empty where it still holds; a version
        without `valid_from` never holds), any fields, and `values_state` and `rep_state` where it is recorded which
        values are *known*, *carried* or *unknown*. Versions of a deal must not overlap: where they do, each of them
        is returned. A deal that was deleted has no version from then on.
    moments : a day or a list of days, each of which stands for its end; or moments that carry a time zone, such as
        "2026-02-28 10:00+01:00".
    timezone : where a day ends.
    cut_off_hour : when a day ends, in hours since midnight there; what is recorded then belongs to the next.
    open_only : leave out deals that are known to be closed by then (`status` won or lost).

    Returns
    -------
    table of the same engine: a row for each deal and moment at which it existed, with `deal_id`, `as_of` (the day; or
        the moment, in UTC), the other columns of its version as they are, and `state`, the worse of `values_state`
        and `rep_state`: known where neither column is there, unknown where one is empty or holds another word. A
        frame in memory comes moment by moment, in the order of its rows; engines keep no order.

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
    from narwhals.exceptions import DuplicateError

    try:
        given = nw.from_native(versions)
    except TypeError as error:
        raise CallError(
            f"This is a {type(versions).__name__}, not a table of versions with {', '.join(_KEY)}."
        ) from error
    except DuplicateError as error:
        raise CallError(f"{error} Rename or drop the others.") from error
    asked = _Asked.of(moments, timezone, cut_off_hour)
    found = _from_memory if isinstance(given, nw.DataFrame) else _from_engine
    return found(given, asked, open_only=open_only).to_native()


def _from_memory(frame: Any, asked: _Asked, *, open_only: bool) -> Any:
    """The states from a frame in memory, whose rows are taken as they are."""
    import narwhals as nw
    import pyarrow as pa

    used = [n for n in (*_KEY[1:], *_SAID, *(["status"] if open_only else [])) if n in frame.columns]
    told = nw.from_native(pa.table({n: _arrow(frame[n]) for n in used}))
    columns, _ = _columns(told, frame.columns, open_only=open_only)
    told = told.with_columns(**columns)
    start, end = (told[n].to_native().to_numpy().astype("datetime64[us]") for n in _KEY[1:])
    if open_only:
        start[~told["open"].to_numpy()] = np.datetime64("NaT")
    row, at = held(start, end, asked.before)
    backend = frame.implementation
    state = nw.new_series("state", told["state"].to_numpy()[row].tolist(), nw.String, backend=backend)
    as_of = nw.Series.from_numpy("as_of", asked.called[at], backend=backend)
    found = nw.maybe_reset_index(frame[row]).with_columns(as_of, state)
    return found.select("deal_id", "as_of", *(nw.col(n) for n in frame.columns if n not in _KEY), "state")


def _arrow(cells: Any) -> Any:
    """Cells of any frame as those of Arrow; objects of Python are moments where all are, or words."""
    import narwhals as nw

    if cells.dtype == nw.Object:
        native = cells.to_native().infer_objects()
        if pd.api.types.infer_dtype(native) in ("date", "datetime"):
            native = pd.to_datetime(native, utc=any(getattr(m, "tzinfo", None) for m in native.dropna()))
        native = native.astype("str") if native.dtype == object else native
        cells = nw.from_native(native, series_only=True)
    return cells.to_arrow()


def _from_engine(frame: Any, asked: _Asked, *, open_only: bool) -> Any:
    """The states from a table of an engine, which is asked for them when the result is read."""
    import narwhals as nw

    names = frame.collect_schema().names()
    columns, kind = _columns(frame, names, open_only=open_only)
    moments, never = asked.on(frame, kind)
    if open_only:
        frame = frame.filter(columns["open"])
    # what still holds ends after all that is asked, which leaves two comparisons for the join
    end = columns["valid_to"].fill_null(never)
    found = frame.with_columns(valid_from=columns["valid_from"], valid_to=end).join(moments, how="cross")
    found = found.filter(nw.col("valid_from") < nw.col(_BEFORE), nw.col("valid_to") >= nw.col(_BEFORE))
    fields = (n for n in names if n not in _KEY)
    return found.select("deal_id", "as_of", *fields, state=columns["state"])


def _columns(frame: Any, names: list[Any], *, open_only: bool) -> tuple[Columns, Any]:
    """What the join asks of each version, and how moments are held; what is no table of versions is refused."""
    import narwhals as nw

    schema, polars = _schema(frame), frame.implementation.is_polars()
    status = ["status"] if open_only else []
    words = [str(n) for n in names]
    missing = [n for n in (*_KEY, *status) if n not in names]
    wrong = [f"There is no column {n}. {nearest(n, words)}".strip() for n in missing]
    spans, said = ([n for n in asked if n in names] for asked in (_KEY[1:], (*_SAID, *status)))
    expected = dict.fromkeys(spans, "dates or moments") | dict.fromkeys(said, "words")
    kinds = {"dates or moments": (nw.Date, nw.Datetime), "words": (nw.String, nw.Categorical, nw.Enum)}
    odd = [n for n, what in expected.items() if schema[n] not in kinds[what]]
    wrong += [f"{n} holds {schema[n]}, not {expected[n]}." for n in odd if _any(frame, n)]
    wrong += [f"{w} is a column of the result; rename it." for w in words if w.lower() in ("as_of", "state")]
    zones = {getattr(schema[n], "time_zone", None) for n in spans if n not in odd}
    if None in zones and len(zones) > 1:
        wrong.append("One of valid_from and valid_to carries a time zone, the other does not.")
    if wrong:
        raise CallError("\n".join(wrong))
    zone = next(iter(zones), None)
    kind = nw.Datetime("us", "UTC" if polars and zone else zone)
    # others compare nanoseconds with microseconds as they are; a cast would round them
    cast = [n for n in spans if schema[n] == nw.Date or (polars and schema[n] != kind)]
    told = {n: nw.col(n).cast(kind) if n in cast else nw.col(n) for n in spans}
    told |= {n: nw.lit(None).cast(kind) for n in spans if n in odd}
    word = {n: nw.col(n).cast(nw.String).str.to_lowercase() for n in said}
    told["state"] = _worst([word[n] for n in said if n in _SAID])
    if open_only:
        closed = (word["status"] == "won") | (word["status"] == "lost")
        told["open"] = ~closed | nw.col("status").is_null()
    return told, kind


def _schema(frame: Any) -> dict[str, Any]:
    """What each column holds; DuckDB's nanoseconds with a zone, which narwhals does not know, are moments too."""
    import narwhals as nw

    schema = dict(frame.collect_schema())
    if frame.implementation.is_duckdb():
        zoned = frame.select(z=nw.lit(datetime.now(UTC))).collect_schema()["z"]
        kinds = zip(schema, frame.to_native().types, strict=True)
        schema |= {n: zoned for n, kind in kinds if str(kind) == "TIMESTAMPTZ_NS"}
    return schema


def _any(frame: Any, name: str) -> bool:
    """Does a column hold anything?"""
    import narwhals as nw

    return bool(frame.lazy().select(n=nw.col(name).count()).collect("pyarrow")["n"][0])


def _worst(said: list[nw.Expr]) -> nw.Expr:
    """The worst of some states; what says none is unknown."""
    import narwhals as nw

    known, carried, unknown = (nw.lit(s) for s in STATES)
    if not said:
        return known
    all_known = nw.all_horizontal(*(s == STATES[0] for s in said), ignore_nulls=False)
    # words one by one: DuckDB searches a list slowly
    told = [(s == STATES[0]) | (s == STATES[1]) for s in said]
    all_told = nw.all_horizontal(*told, ignore_nulls=False)
    return nw.when(all_known).then(known).otherwise(nw.when(all_told).then(carried).otherwise(unknown))


@dataclass(frozen=True)
class _Asked:
    """What each moment is called, and the first instant (naive, UTC) that it does not know of; in order."""

    called: NDArray[np.datetime64]
    before: NDArray[np.datetime64]

    @classmethod
    def of(cls, moments: Any, timezone: Any, cut_off_hour: Any) -> _Asked:
        """Days, each by its end, or moments that carry a zone."""
        options = {"timezone": timezone, "cut_off_hour": cut_off_hour}
        given = {n: "" if value is None else value for n, value in options.items()}
        if problems := check_options(given, {n: n for n in options}):
            raise InputError(problems)
        try:
            listed = [moments] if isinstance(moments, str) else list(moments)
        except TypeError:  # a single one
            listed = [moments]
        stamps = [_stamp(m) for m in listed]
        if not stamps:
            raise CallError(f"moments is empty; {_EXPECTED}")
        clock = [t for t in stamps if t.tz is None and t != t.normalize()]
        zoned = [t for t in stamps if t.tz is not None]
        if clock or 0 < len(zoned) < len(stamps):
            raise CallError(f"moments holds {(clock or zoned)[0]}: {_EXPECTED}")
        if zoned:
            called = np.unique([t.tz_convert(None).floor("us").to_datetime64() for t in stamps])
            return cls(
                called.astype("datetime64[us]"), (called + np.timedelta64(1, "us")).astype("datetime64[us]")
            )
        called = np.unique(np.array(stamps, dtype="datetime64[D]"))
        return cls(called, moment(called, Settings(**options)).to_numpy("datetime64[us]"))

    def on(self, frame: Any, kind: Any) -> tuple[Any, nw.Expr]:
        """The moments as a table beside another on its engine, and one that is later than all."""
        import narwhals as nw

        label = nw.Date if self.called.dtype == "datetime64[D]" else nw.Datetime("us")
        if frame.implementation.is_polars():
            columns = {"as_of": self.called.tolist(), _BEFORE: self.before.tolist()}
            asked = nw.from_dict(columns, {"as_of": label, _BEFORE: kind}, backend=frame.implementation)
            return asked.lazy(), nw.lit(pd.Timestamp(_NEVER, tz=kind.time_zone).to_pydatetime())
        # as text, which no engine reads in a zone of its own
        utc = "+00:00" if kind.time_zone else ""
        instants = [f"{b}{utc}" for b in self.before.astype(str)]
        lines = [f"{i} {c}" for i, c in zip(instants, self.called.astype(str), strict=True)]
        text, length = nw.col("text").str, len(instants[0])
        columns = {"as_of": text.slice(length + 1).cast(label), _BEFORE: text.slice(0, length).cast(kind)}
        asked = frame.head(1).select(text=nw.lit(lines)).explode("text").select(**columns)
        return asked, nw.lit(f"{_NEVER} 00:00:00{utc}").cast(kind)


def _stamp(given: Any) -> pd.Timestamp:
    """A day or a moment as it is written, for other readings (a month, a year, a number) are no days."""
    text = str(given).strip()
    try:
        stamp = pd.Timestamp(text if _STAMP.fullmatch(text) else "no stamp")
    except ValueError as error:
        raise CallError(
            f"moments holds {text!r}, which is neither a day nor a moment; {_EXPECTED}"
        ) from error
    if stamp.year not in _YEARS:
        raise CallError(f"moments holds {text}; expected are years from {_YEARS[0]} to {_YEARS[-1]}.")
    return stamp
