"""The same deals at the same moment for all forecasters, with everything that fell out and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import CallError, nearest
from forecasteval.matching import forecasters as fc
from forecasteval.matching.deals_as_of import Record, Target, looks_at, panel_of, with_outcome
from forecasteval.matching.matched import META
from forecasteval.tables import calendar as cal
from forecasteval.tables.organisation import Org, newest_record

POPULATIONS = {
    "closing in period": "deals open {when} and expected to close in that period",
    "all open": "all deals open {when}",
}
STALE_AFTER_DAYS = 14
NO_HISTORY = (
    "The export holds only today's records: nothing says what was believed before the outcome was known. Export "
    "OpportunityHistory as well, or keep dated copies of Opportunity.csv from now on."
)


@dataclass
class _Flow:
    """Counts distinct deals step by step."""

    steps: list[dict[str, Any]] = field(default_factory=list)

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
            + (" An earlier moment can be compared." if last["step"] == "outcome known" else "")
        )


# --- what the forecasters say -------------------------------------------------------------------------


def check_names(org: Org, names: Sequence[str]) -> list[str]:
    """Which of these forecasters come from files; refuses those that nobody knows."""
    outside = [] if org.forecasts is None else sorted(org.forecasts["forecaster"].unique())
    allowed = [*fc.BUILT_IN, *outside]
    unknown = [n for n in names if n not in allowed]
    if unknown:
        hint = f" {''.join(nearest(n, allowed) for n in unknown)}".rstrip()
        raise CallError(
            f"There is no forecaster {', '.join(unknown)}. Built in: {', '.join(fc.BUILT_IN)}. From files: "
            f"{', '.join(outside) or 'none'}.{hint}"
        )
    return [n for n in names if n in outside and n not in fc.BUILT_IN]


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
        spoken_for = cal.moment(rows.loc[dated, "as_of"], org.settings)
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


def _fitted(
    panel: pd.DataFrame, looks: pd.DataFrame, names: list[str], burn_in: fc.BurnIn
) -> tuple[pd.DataFrame, dict[str, list[dict[str, Any]]], set[Any]]:
    """What the fitted forecasters say at each look, what they had learned from, and the looks of the burn-in."""
    said = {n: np.full(len(panel), np.nan) for n in names}
    learned: dict[str, list[dict[str, Any]]] = {n: [] for n in names}
    silent = set()
    seen = fc.see(panel)
    series, as_of, known_on = (panel[c].to_numpy() for c in ("series", "as_of", "known_on"))
    for look in looks[looks["evaluated"]].itertuples():
        day: Any = look.as_of
        moment = np.datetime64(day)
        alike = series == look.series
        now = np.flatnonzero(alike & (as_of == moment))
        train = np.flatnonzero(alike & (as_of < moment) & (known_on <= moment))
        past, present = seen.take(train), seen.take(now).unaware()
        if not len(now) or not burn_in.over(past):
            silent.add(look.as_of)
            continue
        for name in names:
            f = fc.BUILT_IN[name]
            said[name][now] = f.speak(past, present)
            learned[name].append(
                {
                    "period": look.period,
                    "as_of": f"{look.as_of:%Y-%m-%d}",
                    "deals": len(train),
                    "won": int(past.won.sum()),
                    "through": str(known_on[train].max())[:10],
                }
            )
    return pd.DataFrame(said, index=panel.index), learned, silent


def default_share(org: Org, panel: pd.DataFrame) -> float:
    """Share of the entered probabilities that equal the default of their stage.

    Without a table of stages the commonest value of each stage stands for its default.

    Parameters
    ----------
    org : Org
    panel : DataFrame with stage and rep_probability

    Returns
    -------
    float in [0, 1], NaN where no probability was entered
    """
    entered = panel[panel["rep_probability"].notna()]
    if org.stages is not None and org.stages["default_probability"].notna().any():
        default = org.stages.drop_duplicates("stage").set_index("stage")["default_probability"]
    else:
        default = entered.groupby("stage")["rep_probability"].agg(lambda p: p.mode().iloc[0])
    return float(np.isclose(entered["rep_probability"], entered["stage"].map(default).astype(float)).mean())


# --- the public door ----------------------------------------------------------------------------------


def _stopped(names: Sequence[str], code: str, text: str, meta: dict[str, Any] | None = None) -> pd.DataFrame:
    """An empty matched table that says why it is empty."""
    columns = {
        "deal_id": "str",
        "as_of": "datetime64[s]",
        "period": "str",
        "rep": "str",
        "account": "str",
        "won": "int64",
        "amount": "float64",
        "amount_won": "float64",
    }
    empty = pd.DataFrame({c: pd.Series(dtype=t) for c, t in columns.items()})
    empty = empty.assign(**{n: pd.Series(dtype="float64") for n in names})
    empty.attrs[META] = {"flow": []} | (meta or {}) | {"stop": [{"code": code, "text": text}]}
    return empty


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
    burn_in: fc.BurnIn | None = None,
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
        Built-in ones (:data:`forecasteval.forecasters.BUILT_IN`) and those of forecast files.
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
    aim = Target.parse(target)
    if population not in POPULATIONS:
        raise CallError(f"population {population!r} is not one of {', '.join(map(repr, POPULATIONS))}.")
    if org.matched is not None:
        return _of_flat_table(org.matched, list(forecasters), seed)
    outside = check_names(org, forecasters)
    if org.history is None:
        return _stopped(forecasters, "no_history", NO_HISTORY)
    assert org.periods is not None
    assert org.deals is not None
    record = Record(org.deals, org.history, org.periods, org.settings)
    looks = looks_at(record.periods, as_of)
    if len(looks.loc[looks["evaluated"], "series"].unique()) > 1 and not pool:
        raise CallError(
            "Several weeks put the same deal into the table more than once. Say pool=True if that is meant, or "
            "match one week at a time."
        )
    newest = newest_record(org)
    assert newest is not None
    through = pd.Timestamp(newest if through is None else through)
    looks = looks[looks["as_of"] <= through]
    when = _in_words(as_of)
    meta: dict[str, Any] = {
        "source": org.name,
        "as_of": [str(a) for a in as_of] if isinstance(as_of, list | tuple) else str(as_of),
        "when": when,
        "target": target,
        "population": POPULATIONS[population].format(when=when[0].lower() + when[1:]),
        "nouns": {"period": "quarters" if _quarterly(record.periods) else "periods"},
    }
    flow = _Flow()
    panel = _eligible(record, looks, population, when, flow)
    panel, note = with_outcome(record, panel, aim, through, resolve_after_days)
    if pending:
        panel["won"] = panel["won"].where(panel["known_on"].notna())
    else:
        panel = panel[panel["complete"]].reset_index(drop=True)
        why = (
            f"by {through:%Y-%m-%d}, where the data end, the period is not frozen or the target not yet known"
        )
        flow.add("outcome known", panel[panel["evaluated"]], why)
    panel, about = _with_forecasts(
        org, panel, looks, forecasters, outside, flow, stale_after_days, burn_in or fc.BurnIn()
    )
    meta |= {"forecasters": about, "flow": flow.steps, "notes": [note] if note else []}
    unusable = [n for n, a in about.items() if a["kind"] not in ("probability", "rank_score")]
    if unusable:
        name = unusable[0]
        text = f"{name} forecasts a {about[name]['kind']}; only probabilities and rank scores can be matched."
        return _stopped(forecasters, "kinds_differ", text, meta)
    if panel.empty:
        return _stopped(forecasters, "no_common_deals", flow.emptied(), meta)
    for name in set(forecasters) & {"rep_forecast"}:
        about[name]["stage_default_share"] = round(default_share(org, panel), 4)
        if target != fc.BUILT_IN[name].own_target:
            about[name]["target"] = fc.BUILT_IN[name].own_target
    segments = [c for c in record.deals if c not in _NOT_SEGMENTS]
    columns = [
        *("deal_id", "as_of", "period", "rep", "account", "won", "amount", "amount_won"),
        *segments,
        *("stage", "category", "state"),
        *forecasters,
    ]
    matched = panel[columns].copy()
    if pool:
        matched.insert(3, "week", panel["series"])
    matched = matched.sort_values(["as_of", "deal_id"], kind="stable", ignore_index=True)
    meta["carried_share"] = round(float(matched["state"].eq("carried").mean()), 4)
    matched.attrs[META] = meta
    return matched


def _in_words(as_of: Any) -> str:
    if isinstance(as_of, list | tuple):
        return f"At the end of {as_of[0]} to {as_of[-1]}"
    text = str(as_of)
    return f"At the end of {text}" if text.startswith("week") else f"At the end of {text[:10]}"


def _eligible(record: Record, looks: pd.DataFrame, population: str, when: str, flow: _Flow) -> pd.DataFrame:
    """The deals that were open, known and in the population at each look."""

    def step(panel: pd.DataFrame, name: str, why: str) -> pd.DataFrame:
        flow.add(name, panel[panel["evaluated"]], why)
        return panel

    flow.add("deals in the export", record.deals)
    moment = when[0].lower() + when[1:]
    panel = panel_of(record, looks)
    why = "not open at that moment of any period"
    if panel.empty:
        recorded = record.history["valid_from"]
        why = f"nothing was recorded at that moment of any period: records start on {recorded.min():%Y-%m-%d}"
    panel = step(panel, f"open {moment}", why)
    for name, column, why in _KNOWN:
        panel = step(panel[panel[column].ne("unknown")], name, why)
    if population == "closing in period":
        inside = panel["close_on"].between(panel["starts_on"], panel["ends_on"])
        why = "not expected to close in the period at that moment"
        panel = step(panel[inside], "expected to close in the period", why)
    return panel.reset_index(drop=True)


def _with_forecasts(
    org: Org,
    panel: pd.DataFrame,
    looks: pd.DataFrame,
    forecasters: Sequence[str],
    outside: list[str],
    flow: _Flow,
    stale_after: int,
    burn_in: fc.BurnIn,
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """The evaluated rows with a column per forecaster, from when all of them speak, and who they are."""
    about: dict[str, dict[str, Any]] = {}
    keep = panel["evaluated"].copy()
    fitted = [n for n in forecasters if n in fc.BUILT_IN and fc.BUILT_IN[n].fitted]
    said, learned, silent = _fitted(panel, looks, fitted, burn_in)
    if fitted:
        keep &= ~panel["as_of"].isin(silent)
        why = f"{', '.join(fitted)} had too few resolved deals to learn from"
        flow.add("enough past to learn from", panel[keep], why)
    columns: dict[str, Any] = {}
    for name in forecasters:
        if name in outside:
            columns[name], about[name] = _outside(org, panel, name, stale_after)
            speaks = columns[name].notna().groupby(panel["as_of"]).transform("any")
            began = panel.loc[keep & speaks, "as_of"].min()
            if (keep & (panel["as_of"] < began)).any():
                keep &= panel["as_of"] >= began
                flow.add(f"{name} had begun", panel[keep], f"before the first forecast of {name}")
        else:
            f = fc.BUILT_IN[name]
            columns[name] = said[name] if f.fitted else panel["rep_probability"]
            about[name] = {"kind": "probability", "gloss": f.gloss, "from_file": False}
            if f.fitted:
                about[name]["learned"] = learned[name]
    panel = panel.assign(category=panel["rep_category"], **columns)
    return panel[keep].reset_index(drop=True), about


_KNOWN = (
    ("values known", "values_state", "what was believed at that moment is not known"),
    ("owner known", "rep_state", "whose deal it was at that moment is not known"),
)
_NOT_SEGMENTS = {"deal_id", "rep", "account", "created_on", "closed_on", "outcome", "amount"}


def _quarterly(periods: pd.DataFrame) -> bool:
    length = (periods["ends_on"] - periods["starts_on"]).dt.days
    return bool(length.between(80, 100).all())


def _of_flat_table(matched: pd.DataFrame, names: list[str], seed: int) -> pd.DataFrame:
    """A table that came matched, with out-of-fold reference forecasts added where asked for and possible."""
    meta = matched.attrs.get(META, {})
    features = meta.get("features", [])
    wanted = [n for n in names if n not in matched and n in ("model", "base_rate")]
    if "model" in wanted and not features:
        wanted.remove("model")
    if not wanted:
        return matched
    out = matched.assign(**fc.out_of_fold(matched, wanted, features, seed=seed))
    glosses = {
        "model": f"a logistic regression on {len(features)} columns, each deal forecast by a fit that never saw it",
        "base_rate": "the share of all deals that was won, the same for each",
    }
    about = meta.get("forecasters", {}) | {
        n: {"kind": "probability", "gloss": glosses[n], "from_file": False} for n in wanted
    }
    out.attrs[META] = meta | {"forecasters": about}
    return out
