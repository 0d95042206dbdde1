"""The same deals at the same moment for all forecasters, with everything that fell out and why.

:class:`Panel` holds every deal at every look that is asked for, matched once; what two forecasters said in one week,
or what all of them said in all weeks, are views of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.errors import CallError, nearest
from forecasteval.matching.deals_as_of import Record, Target, looks_at, panel_of, unresolved, with_outcome
from forecasteval.matching.forecasters import BUILT_IN, BurnIn, Floats, Seen, out_of_fold, see
from forecasteval.matching.matched import DAYS_AHEAD, Matched
from forecasteval.tables.calendar import moment
from forecasteval.tables.giveaways import gives_away
from forecasteval.tables.organisation import Org, newest_record
from forecasteval.tables.period_labels import period_noun

POPULATIONS = {
    "closing in period": "deals open {when} and expected to close in that period",
    "all open": "all deals open {when}",
}
STALE_AFTER_DAYS = 14
_NO_DEALS = "There are totals by period and no deals: what was called can be held against what was booked, not deal by deal."
_NO_HISTORY = (
    "The export holds only today's records: nothing says what was believed before the outcome was known. Export "
    "OpportunityHistory as well, or keep dated copies of Opportunity.csv from now on."
)
_KNOWN = (
    ("values known", "values_state", "what was believed at that moment is not known"),
    ("owner known", "rep_state", "whose deal it was at that moment is not known"),
)
_NOT_SEGMENTS = {"deal_id", "rep", "account", "created_on", "closed_on", "outcome", "amount"}
_EMPTY = {
    "deal_id": "str",
    "as_of": "datetime64[s]",
    "period": "str",
    "rep": "str",
    "account": "str",
    "won": "int64",
    "amount": "float64",
    "amount_won": "float64",
}


@dataclass
class _Flow:
    """Counts distinct deals step by step."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    known_from: str = ""  # from when on the next outcomes are known, where the calendar says it

    def add(self, step: str, rows: pd.DataFrame, why: str = "") -> None:
        deals = int(rows["deal_id"].nunique())
        before = self.steps[-1]["deals"] if self.steps else deals
        self.steps.append({"step": step, "deals": deals, "dropped": before - deals, "why": why})

    def emptied(self) -> str:
        """The sentence that names the step after which nothing was left."""
        last = next((s for s in self.steps if not s["deals"]), self.steps[-1])
        return (
            f"No deal is left to compare. The last {last['dropped']:,} fell out at the step {last['step']!r}: "
            f"{last['why']}."
            + (
                f" An earlier moment can be compared{self.known_from}."
                if last["step"] == "outcome known"
                else ""
            )
        )


# --- what the forecasters say -------------------------------------------------------------------------


def _outside(org: Org, panel: pd.DataFrame, name: str, stale_after: int) -> tuple[pd.Series, dict[str, Any]]:
    """The latest forecast of an outside file at each row's moment, refused by name if it knew the future."""
    assert org.forecasts is not None
    rows = org.forecasts[org.forecasts["forecaster"] == name]
    kinds = sorted(rows["kind"].unique())
    if len(kinds) > 1:
        raise CallError(f"{name} mixes kinds of forecast ({', '.join(kinds)}); give each its own name.")
    issued = pd.to_datetime(rows["issued_at"]).astype("datetime64[us]")
    if "as_of" in rows and rows["as_of"].notna().any():
        dated = rows["as_of"].notna()
        spoken_for = moment(rows.loc[dated, "as_of"], org.settings)
        late = issued[dated].to_numpy() >= np.asarray(spoken_for, dtype="datetime64[us]")
        if late.any():
            first = rows[dated][late].iloc[0]
            raise CallError(
                f"{name} is refused: {int(late.sum()):,} of its forecasts were issued after the moment they speak "
                f"about (deal {first['deal_id']}, as of {first['as_of']:%Y-%m-%d}, issued {first['issued_at']}). "
                "A forecast made with hindsight cannot be compared."
            )
    said = rows.assign(issued_at=issued)[
        ["deal_id", "issued_at", "value", *(["trained_through"] if "trained_through" in rows else [])]
    ].sort_values("issued_at", kind="stable")
    found = pd.merge_asof(
        panel[["deal_id", "moment", "as_of"]],
        said,
        left_on="moment",
        right_on="issued_at",
        by="deal_id",
        allow_exact_matches=False,  # a bare date stands for the start of its day, which ends the one before
    )
    if "trained_through" in found:
        ahead = found["trained_through"].notna() & (found["trained_through"] >= found["as_of"])
        if ahead.any():
            first = found[ahead].iloc[0]
            raise CallError(
                f"{name} is refused: {int(ahead.sum()):,} of its forecasts come from a model trained through "
                f"{first['trained_through']:%Y-%m-%d} or later but speak as of {first['as_of']:%Y-%m-%d}. A model "
                "that has seen the outcomes cannot be compared."
            )
    stale = found["moment"] - found["issued_at"] > pd.Timedelta(days=stale_after)
    value = pd.to_numeric(found["value"], errors="coerce").mask(stale)
    about = {
        "kind": kinds[0],
        "gloss": f"the scores in the file of {name}, the latest one issued by that moment",
        "stale": int(stale.sum()),
        "from_file": True,
    }
    if "target" in rows and rows["target"].notna().any():
        about["target"] = str(rows["target"].dropna().iloc[0])
    return pd.Series(value.to_numpy(), index=panel.index), about


@dataclass
class _Spoken:
    """What fitted forecasters say at each look, each fitted once however many views ask for it."""

    panel: pd.DataFrame
    burn_in: BurnIn
    values: dict[tuple[str, Any, Any], Floats] = field(default_factory=dict)

    @cached_property
    def seen(self) -> Seen:
        """The whole panel as forecasters see it."""
        return see(self.panel)

    @cached_property
    def _rows(self) -> dict[Any, NDArray[np.intp]]:
        """The rows of each series, in their order."""
        found: dict[Any, Any] = dict(self.panel.groupby("series", sort=False).indices)
        return found

    def at(self, look: Any, name: str, train: Seen, now: Seen) -> Floats:
        """What one forecaster says at one look."""
        key = (name, look.series, look.as_of)
        if key not in self.values:
            if parts := BUILT_IN[name].parts:
                said = sum((self.at(look, part, train, now) for part in parts), np.zeros(len(now.won)))
                said = said / len(parts)
            else:
                said = BUILT_IN[name].speak(train, now)
            self.values[key] = said
        return self.values[key]

    def __call__(
        self, looks: pd.DataFrame, names: list[str]
    ) -> tuple[pd.DataFrame, dict[str, list[dict[str, Any]]], set[Any]]:
        """A column per forecaster, what each had learned from, and the looks of the burn-in."""
        said = {n: np.full(len(self.panel), np.nan) for n in names}
        learned: dict[str, list[dict[str, Any]]] = {n: [] for n in names}
        silent = set()
        as_of, known_on = (self.panel[c].to_numpy() for c in ("as_of", "known_on"))
        for look in looks[looks["evaluated"]].itertuples():
            asked: Any = look.as_of
            day = np.datetime64(asked)
            own = self._rows.get(look.series, np.array([], dtype=np.intp))
            now = own[as_of[own] == day]
            train = own[(as_of[own] < day) & (known_on[own] <= day)]
            past = self.seen.take(train)
            if not len(now) or not self.burn_in.over(past.won):
                silent.add(look.as_of)
                continue
            present = self.seen.take(now).unaware()
            for name in names:
                said[name][now] = self.at(look, name, past, present)
                learned[name].append(
                    {
                        "period": look.period,
                        "as_of": f"{look.as_of:%Y-%m-%d}",
                        "deals": len(train),
                        "won": int(self.seen.won[train].sum()),
                        "through": str(known_on[train].max())[:10],
                    }
                )
        return pd.DataFrame(said, index=self.panel.index), learned, silent


def _default_share(org: Org, panel: pd.DataFrame) -> float:
    """Share of the entered probabilities that equal the default of their stage; NaN where none was entered.

    Without a table of stages the commonest value of each stage stands for its default.
    """
    entered = panel[panel["rep_probability"].notna()]
    if org.stages is not None and org.stages["default_probability"].notna().any():
        default = org.stages.drop_duplicates("stage").set_index("stage")["default_probability"]
    else:
        default = entered.groupby("stage")["rep_probability"].agg(lambda p: p.mode().iloc[0])
    return float(np.isclose(entered["rep_probability"], entered["stage"].map(default).astype(float)).mean())


# --- the panel and its views ------------------------------------------------------------------------


class Panel:
    """Every deal at every look that is asked for, with its state then and its outcome; views are taken of it."""

    def __init__(
        self,
        org: Org,
        *,
        as_of: Any,
        target: str = "won in period",
        population: str = "closing in period",
        stale_after_days: int = STALE_AFTER_DAYS,
        resolve_after_days: int = 365,
        burn_in: BurnIn | None = None,
        through: Any = None,
        pending: bool = False,
        seed: int = 0,
    ) -> None:
        """As for :func:`match`; `as_of` names all the looks of which views are wanted."""
        self.org, self.as_of, self.target, self.population = org, as_of, Target.parse(target), population
        self.stale_after, self.resolve_after = stale_after_days, resolve_after_days
        self.pending, self.seed, self.burn_in = pending, seed, burn_in or BurnIn()
        if population not in POPULATIONS:
            raise CallError(f"population {population!r} is not one of {', '.join(map(repr, POPULATIONS))}.")
        newest = newest_record(org) if through is None else through
        self.through = pd.Timestamp(newest) if newest is not None else None
        self._views: dict[tuple[Any, ...], Matched] = {}

    @cached_property
    def _record(self) -> Record:
        assert self.org.deals is not None
        assert self.org.history is not None
        assert self.org.periods is not None
        return Record(self.org.deals, self.org.history, self.org.periods, self.org.settings)

    @cached_property
    def _looks(self) -> pd.DataFrame:
        return looks_at(self._record.periods, self.as_of)

    @cached_property
    def _open(self) -> pd.DataFrame:
        """Every open deal at every look."""
        return panel_of(self._record, self._looks[self._looks["as_of"] <= self.through])

    @cached_property
    def _eligible(self) -> tuple[pd.DataFrame, list[tuple[str, str, pd.Series]]]:
        """The deals of the population with their outcomes; and the steps to it, each a mask over the open ones."""
        panel = self._open
        keep = pd.Series(True, index=panel.index)
        steps = []
        for name, column, why in _KNOWN:
            keep = keep & panel[column].ne("unknown")
            steps.append((name, why, keep))
        if self.population == "closing in period":
            keep = keep & panel["close_on"].between(panel["starts_on"], panel["ends_on"])
            why = "not expected to close in the period at that moment"
            steps.append(("expected to close in the period", why, keep))
        panel = panel[keep].reset_index(drop=True)
        assert self.through is not None
        panel = with_outcome(self._record, panel, self.target, self.through, self.resolve_after)
        if self.pending:
            panel["won"] = panel["won"].where(panel["known_on"].notna())
        return panel, steps

    @cached_property
    def _panel(self) -> pd.DataFrame:
        """The deals whose outcome is known, at every look; with `pending`, the others as well."""
        panel = self._eligible[0]
        return panel if self.pending else panel[panel["complete"]].reset_index(drop=True)

    @cached_property
    def _spoken(self) -> _Spoken:
        return _Spoken(self._panel, self.burn_in)

    @property
    def known(self) -> pd.DataFrame:
        """What may be learned from: the deals of the population whose outcome is known, at each look in turn."""
        rows = self._panel[self._panel["evaluated"]]
        return rows.sort_values(["as_of", "deal_id"], kind="stable", ignore_index=True)

    def outside(self, names: Sequence[str]) -> list[str]:
        """Those of the forecasters that come from files; a name that nobody bears is refused."""
        outside = self.org.outside
        allowed = [*BUILT_IN, *outside]
        unknown = [n for n in names if n not in allowed]
        if unknown:
            hint = f" {''.join(nearest(n, allowed) for n in unknown)}".rstrip()
            raise CallError(
                f"There is no forecaster {', '.join(unknown)}. Built in: {', '.join(BUILT_IN)}. From files: "
                f"{', '.join(outside) or 'none'}.{hint}"
            )
        return [n for n in names if n in outside and n not in BUILT_IN]

    def view(self, forecasters: Sequence[str], as_of: Any = None, *, pool: bool = False) -> Matched:
        """What these forecasters said at these looks, on the deals about which they could speak."""
        key = (*forecasters, repr(as_of), pool)
        if key not in self._views:
            self._views[key] = self._viewed(forecasters, as_of, pool=pool)
        return self._views[key]

    def _viewed(self, forecasters: Sequence[str], as_of: Any, *, pool: bool) -> Matched:
        if self.org.matched is not None:
            return _of_flat_table(Matched.of(self.org), list(forecasters), self.seed)
        outside = self.outside(forecasters)
        if self.org.history is None:
            text = _NO_HISTORY if self.org.deals is not None else _NO_DEALS
            return _stopped(forecasters, "no_history", text)
        looks = self._looks if as_of is None else looks_at(self._record.periods, as_of)
        if len(looks.loc[looks["evaluated"], "series"].unique()) > 1 and not pool:
            raise CallError(
                "Several weeks put the same deal into the table more than once. Say pool=True if that is meant, or "
                "match one week at a time."
            )
        looks = looks[looks["as_of"] <= self.through]
        when = _in_words(self.as_of if as_of is None else as_of)
        about = Matched(
            pd.DataFrame(),
            target=self.target.name,
            population=POPULATIONS[self.population].format(when=when[0].lower() + when[1:]),
            when=when,
            nouns={"period": period_noun((), self._record.periods)},
            more={"source": self.org.name, "as_of": _plain(self.as_of if as_of is None else as_of)},
        )
        flow = self._flow(looks, when)
        panel, said = self._with_forecasts(looks, forecasters, outside, flow)
        note = unresolved(self._of(looks, self._eligible[0]), self.target, self.resolve_after)
        about = replace(about, forecasters=said, flow=flow.steps, notes=[note] if note else [])
        unusable = [n for n, a in said.items() if a["kind"] not in ("probability", "rank_score")]
        if unusable:
            kind = said[unusable[0]]["kind"]
            text = f"{unusable[0]} forecasts a {kind}; only probabilities and rank scores can be matched."
            return _stopped(forecasters, "kinds_differ", text, about)
        if panel.empty:
            return _stopped(forecasters, "no_common_deals", flow.emptied(), about)
        if "rep_forecast" in said:
            said["rep_forecast"]["stage_default_share"] = round(_default_share(self.org, panel), 4)
            if self.target.name != (own := BUILT_IN["rep_forecast"].own_target):
                said["rep_forecast"]["target"] = own
        return self._table(panel, forecasters, about, pool=pool)

    def _of(self, looks: pd.DataFrame, panel: pd.DataFrame) -> pd.DataFrame:
        """The rows of some looks."""
        return panel[panel["series"].isin(looks["series"])]

    def _flow(self, looks: pd.DataFrame, when: str) -> _Flow:
        """The way from the export to the deals whose outcome is known, counted at the evaluated looks."""
        flow = _Flow()
        flow.add("deals in the export", self._record.deals)
        opened = self._of(looks, self._open)
        opened = opened[opened["evaluated"]]
        why = "not open at that moment of any period"
        if opened.empty:
            start = self._record.history["valid_from"].min()
            why = f"nothing was recorded at that moment of any period: records start on {start:%Y-%m-%d}"
        flow.add(f"open {when[0].lower()}{when[1:]}", opened, why)
        for name, why, keep in self._eligible[1]:
            flow.add(name, opened[keep[opened.index]], why)
        if not self.pending:
            known = self._of(looks, self._panel)
            why = f"by {self.through:%Y-%m-%d}, where the data end, the period is not frozen or the target not yet known"
            flow.add("outcome known", known[known["evaluated"]], why)
            ends = looks["period"].map(self._record.periods.set_index("period")["freezes_on"])
            day = ends[ends > self.through].min()
            if self.target.name == "won in period" and pd.notna(day):
                flow.known_from = f", this one from {day:%Y-%m-%d} on"
        return flow

    def _with_forecasts(
        self, looks: pd.DataFrame, forecasters: Sequence[str], outside: list[str], flow: _Flow
    ) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
        """The evaluated rows with a column per forecaster, from when all of them speak, and who they are."""
        about: dict[str, dict[str, Any]] = {}
        fitted = [n for n in forecasters if n in BUILT_IN and BUILT_IN[n].fitted]
        said, learned, silent = self._spoken(looks, fitted)
        panel = self._of(looks, self._panel)
        keep = panel["evaluated"].copy()
        if fitted:
            keep &= ~panel["as_of"].isin(silent)
            why = f"{', '.join(fitted)} had too few resolved deals to learn from"
            flow.add("enough past to learn from", panel[keep], why)
        columns: dict[str, Any] = {}
        for name in forecasters:
            if name in outside:
                columns[name], about[name] = _outside(self.org, panel, name, self.stale_after)
                speaks = columns[name].notna().groupby(panel["as_of"]).transform("any")
                began = panel.loc[keep & speaks, "as_of"].min()
                if (keep & (panel["as_of"] < began)).any():
                    keep &= panel["as_of"] >= began
                    flow.add(f"{name} had begun", panel[keep], f"before the first forecast of {name}")
            else:
                f = BUILT_IN[name]
                columns[name] = said.loc[panel.index, name] if f.fitted else panel["rep_probability"]
                about[name] = {"kind": "probability", "gloss": f.gloss, "from_file": False}
                if f.fitted:
                    about[name]["learned"] = learned[name]
        panel = panel.assign(category=panel["rep_category"], **columns)
        return panel[keep].reset_index(drop=True), about

    def _table(
        self, panel: pd.DataFrame, forecasters: Sequence[str], about: Matched, *, pool: bool
    ) -> Matched:
        """The columns of a matched table."""
        columns = [
            *_EMPTY,
            *(c for c in self._record.deals if c not in _NOT_SEGMENTS),
            *("stage", "category", "state"),
            *forecasters,
        ]
        table = panel[columns].copy()
        if pool:
            table.insert(3, "week", panel["series"])
        table = table.sort_values(["as_of", "deal_id"], kind="stable", ignore_index=True)
        more = {**about.more, "carried_share": round(float(table["state"].eq("carried").mean()), 4)}
        if self.target.kind != "at all":
            left = (panel["ends_on"] - panel["as_of"]).dt.days.min()
            more[DAYS_AHEAD] = int(left) if self.target.kind == "in period" else self.target.days
        return replace(about, table=table, more=more)


# --- the public door ----------------------------------------------------------------------------------


def match(
    org: Org,
    *,
    as_of: Any = "week 4",
    target: str = "won in period",
    forecasters: Sequence[str] = ("model", "rep_forecast"),
    population: str = "closing in period",
    pool: bool = False,
    stale_after_days: int = STALE_AFTER_DAYS,
    resolve_after_days: int = 365,
    burn_in: BurnIn | None = None,
    through: Any = None,
    pending: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Put all forecasters' words about the same deals at the same moment into one table.

    Parameters
    ----------
    org : Org, from :func:`forecasteval.read`
    as_of : str, list of str or date
        "week 4": the state at the end of the fourth week of each period; a list of weeks (with `pool`); or
        one date.
    target : str
        "won in period", "won at all" or "won within N days".
    forecasters : list of str
        Built-in ones (:data:`forecasteval.matching.forecasters.BUILT_IN`) and those of forecast files.
    population : "closing in period" or "all open"
        Of the deals that are open: those believed to close in the period, or all.
    pool : bool
        Must be asked for where several weeks go into one table: a deal then counts several times.
    stale_after_days : int
        An outside forecast older than this is an abstention.
    resolve_after_days : int
        For "won at all": an open deal this old counts as not won.
    burn_in : BurnIn, optional
        What a fitted forecaster must have seen before it speaks.
    through : date, optional
        The last day that counts, for looks and for outcomes; the day of the newest record if left out.
    pending : bool
        Keep the deals whose target is not known yet, with an empty `won`.
    seed : int
        Of the folds, for a flat table without time order.

    Returns
    -------
    DataFrame
        The matched table. `attrs["forecasteval"]` holds the flow, the forecasters' descriptions, what the
        fitted ones had learned from, and notes. A table that was imported as matched is handed on.

    Raises
    ------
    ValueError
        For an unknown week, target, population or forecaster, and for a forecast that knew the future.
    """
    panel = Panel(
        org,
        as_of=as_of,
        target=target,
        population=population,
        stale_after_days=stale_after_days,
        resolve_after_days=resolve_after_days,
        burn_in=burn_in,
        through=through,
        pending=pending,
        seed=seed,
    )
    return panel.view(forecasters, pool=pool).frame()


def _stopped(names: Sequence[str], code: str, text: str, about: Matched | None = None) -> Matched:
    """An empty matched table that says why it is empty."""
    columns = _EMPTY | dict.fromkeys(names, "float64")
    empty = pd.DataFrame({c: pd.Series(dtype=t) for c, t in columns.items()})  # type: ignore[call-overload]
    about = Matched(empty) if about is None else about
    return replace(about, table=empty, stop=[{"code": code, "text": text}])


def _in_words(as_of: Any) -> str:
    if isinstance(as_of, list | tuple):
        return f"At the end of {as_of[0]} to {as_of[-1]}"
    text = str(as_of)
    return f"At the end of {text}" if text.startswith("week") else f"At the end of {text[:10]}"


def _plain(as_of: Any) -> Any:
    return [str(a) for a in as_of] if isinstance(as_of, list | tuple) else str(as_of)


def _of_flat_table(matched: Matched, names: list[str], seed: int) -> Matched:
    """A table that came matched, with out-of-fold reference forecasts added where asked for and possible."""
    wanted = [n for n in names if n not in matched and n in ("model", "base_rate")]
    if "model" in wanted and not matched.features:
        wanted.remove("model")
    if "model" in wanted:
        told = {name: gives_away(matched[name], matched["won"]) for name in matched.features}
        if told := {name: how for name, how in told.items() if how}:
            listed = "; ".join(f"{name} {how}" for name, how in told.items())
            raise CallError(
                f"Features that give the outcome away are refused: {listed}. Take them out of the mapping."
            )
    if not wanted:
        return matched
    glosses = {
        "model": f"a logistic regression on {len(matched.features)} columns, each deal forecast by a fit that never "
        "saw it",
        "base_rate": "the share of all deals that was won, the same for each",
    }
    about = {n: {"kind": "probability", "gloss": glosses[n], "from_file": False} for n in wanted}
    table = matched.table.assign(**out_of_fold(matched.table, wanted, matched.features, seed=seed))
    return replace(matched, table=table, forecasters={**matched.forecasters, **about})
