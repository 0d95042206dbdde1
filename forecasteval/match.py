"""The same deals at the same moment for all forecasters, with everything that fell out and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from forecasteval import forecasters as fc
from forecasteval import periods as cal
from forecasteval.compare import META
from forecasteval.crm.history import states
from forecasteval.tables import Org, newest_record

POPULATIONS = {
    "closing in period": "deals open at {as_of} and expected to close in that {period}",
    "all open": "all deals open at {as_of}",
}
NO_HISTORY = (
    "The export holds only today's records: nothing says what was believed before the outcome was known. Export "
    "OpportunityHistory as well, or keep dated copies of Opportunity.csv from now on."
)


@dataclass(frozen=True)
class Target:
    """What a forecast is a probability of, and when that is known."""

    name: str
    kind: str
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read "won in period", "won at all" or "won within N days".

        Examples
        --------
        >>> Target.parse("won within 90 days").days
        90
        """
        if text in ("won in period", "won at all"):
            return cls(text, text.removeprefix("won "))
        within = re.fullmatch(r"won within (\d+) days", text)
        if within:
            return cls(text, "within", int(within[1]))
        raise ValueError(
            f"target {text!r} is not one of 'won in period', 'won at all' or 'won within N days' (such as 90)."
        )


@dataclass
class _Flow:
    """Counts distinct deals step by step."""

    steps: list[dict[str, Any]] = field(default_factory=list)

    def add(self, step: str, rows: pd.DataFrame, why: str = "") -> pd.DataFrame:
        deals = int(rows["deal_id"].nunique())
        before = self.steps[-1]["deals"] if self.steps else deals
        self.steps.append({"step": step, "deals": deals, "dropped": before - deals, "why": why})
        return rows


# --- the moments -----------------------------------------------------------------------------------


def _weeks(as_of: str | Sequence[str], periods: pd.DataFrame) -> list[int]:
    weeks = []
    for text in [as_of] if isinstance(as_of, str) else as_of:
        found = re.fullmatch(r"week (\d+)", str(text).strip())
        most = int(cal.weeks_in(periods).max())
        if not found or not 1 <= int(found[1]) <= most:
            raise ValueError(
                f"as_of {text!r} is neither 'week 1' to 'week {most}' nor a date such as '2026-02-28'."
            )
        weeks.append(int(found[1]))
    return weeks


def _looks(periods: pd.DataFrame, as_of: Any) -> pd.DataFrame:
    """One row per moment at which the deals are looked at: period, series, as_of, evaluated.

    A series is what a fitted forecaster learns from: the same week, or the same day, of earlier periods.
    """
    try:
        day = None if isinstance(as_of, list | tuple) else pd.Timestamp(as_of)
    except ValueError:
        day = None
    if day is None:
        ends = cal.week_ends(periods)
        looks = ends[ends["week"].isin(_weeks(as_of, periods))].assign(evaluated=True)
        looks = looks.rename(columns={"week": "series"})
    else:
        inside = (periods["starts_on"] <= day) & (day <= periods["ends_on"])
        if not inside.any():
            raise ValueError(f"as_of {day:%Y-%m-%d} lies in no period of the calendar.")
        offset = day - periods.loc[inside, "starts_on"].iloc[0]
        earlier = periods[periods["starts_on"] <= day]
        moments = (earlier["starts_on"] + offset).clip(upper=earlier["ends_on"])
        looks = earlier[["period"]].assign(series=0, as_of=moments, evaluated=moments == day)
    return looks.merge(periods, on="period")[
        ["period", "series", "as_of", "evaluated", "starts_on", "ends_on", "freezes_on"]
    ]


# --- the panel: states, outcomes, what a model may see ------------------------------------------------


def _journey(history: pd.DataFrame) -> pd.DataFrame:
    """For each version, how often the close date was pushed before and since when the deal is in its stage."""
    h = history.sort_values(["deal_id", "valid_from"], kind="stable")[
        ["deal_id", "valid_from", "stage", "close_on"]
    ]
    same = h["deal_id"].eq(h["deal_id"].shift())
    pushed = same & (h["close_on"] > h["close_on"].shift())
    moved = ~same | h["stage"].ne(h["stage"].shift())
    since = h["valid_from"].where(moved)
    return h[["deal_id", "valid_from"]].assign(
        pushes=pushed.groupby(h["deal_id"]).cumsum().astype(float),
        stage_since=since.groupby(h["deal_id"]).ffill(),
    )


def _panel(org: Org, looks: pd.DataFrame) -> pd.DataFrame:
    """Every open deal at every look, with its state and what follows from it at that moment."""
    assert org.history is not None
    days = pd.DatetimeIndex(looks["as_of"].unique())
    panel = states(org.history, days, org.settings, open_only=True).merge(looks, on="as_of")
    panel["moment"] = cal.moment(panel["as_of"], org.settings).astype("datetime64[us]")
    segments = [c for c in org.deals if c not in {"rep", "amount", "closed_on", "outcome"}]
    panel = panel.merge(org.deals[segments], on="deal_id", how="left")
    panel = panel.sort_values(["moment", "deal_id"], kind="stable", ignore_index=True)
    journey = _journey(org.history).sort_values("valid_from", kind="stable")
    journey["valid_from"] = journey["valid_from"].astype("datetime64[us]")
    panel = pd.merge_asof(
        panel,
        journey,
        left_on="moment",
        right_on="valid_from",
        by="deal_id",
        allow_exact_matches=False,  # a version that starts as the day ends belongs to the next day
    )
    panel["age_days"] = (panel["as_of"] - panel["created_on"]).dt.days.fillna(0)
    panel["days_to_close"] = (panel["close_on"] - panel["as_of"]).dt.days
    panel["days_in_stage"] = (panel["moment"] - panel["stage_since"]).dt.days.fillna(0)
    panel["pushes"] = panel["pushes"].fillna(0)
    return panel


def _closings(org: Org) -> pd.DataFrame:
    """How each deal stands today and since when it is known: deal_id, status, close_on, amount, known_on."""
    assert org.history is not None
    h = org.history.sort_values(["deal_id", "valid_from"], kind="stable")
    if h["status"].ne("open").any():
        last = h.groupby("deal_id").tail(1)
        return last[["deal_id", "status", "close_on", "amount"]].assign(
            known_on=cal.local_dates(last["valid_from"], org.settings)
        )
    d = org.deals
    status = d["outcome"].where(d["outcome"].isin(["won", "lost"]), "open")
    return pd.DataFrame(
        {
            "deal_id": d["deal_id"],
            "status": status,
            "close_on": d["closed_on"],
            "amount": d["amount"],
            "known_on": d["closed_on"],
        }
    )


def _at(org: Org, panel: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
    """Status, close date and amount of the panel's deals on given days, as recorded by then."""
    assert org.history is not None
    if org.history["status"].eq("open").all():  # hand-made snapshots of open deals: today's record decides
        then = panel[["deal_id"]].merge(_closings(org), on="deal_id", how="left")
        open_still = then["close_on"].to_numpy() > day.to_numpy()
        return then.assign(status=then["status"].mask(open_still, "open"))
    days = pd.DatetimeIndex(day.dropna().unique())
    then = states(org.history, days, org.settings)[["deal_id", "as_of", "status", "close_on", "amount"]]
    asked = panel[["deal_id"]].assign(as_of=day.to_numpy())
    return asked.merge(then, on=["deal_id", "as_of"], how="left")


def _with_outcome(
    org: Org, panel: pd.DataFrame, target: Target, through: pd.Timestamp, resolve_after: int
) -> tuple[pd.DataFrame, str]:
    """The panel with won, amount_won and known_on (empty where it is not known yet), and what to say of it."""
    if target.kind == "in period":
        known_on = panel["freezes_on"]
    elif target.kind == "within":
        known_on = panel["as_of"] + pd.Timedelta(days=target.days)
    else:
        known_on = panel["as_of"] + pd.Timedelta(days=resolve_after)
    if target.kind == "at all":
        then = panel[["deal_id"]].merge(_closings(org), on="deal_id", how="left")
        resolved = then["status"].isin(["won", "lost"]).to_numpy()
        known_on = known_on.where(~resolved, then["known_on"].to_numpy())
        known_on = known_on.where(known_on <= through)
        # a cohort counts when every deal of it is known, else the quick ones would speak for the slow
        complete = known_on.notna().groupby(panel["as_of"]).transform("all")
        waiting = int((~resolved & complete).sum())
        note = (
            f"{waiting / max(int(complete.sum()), 1):.1%} of the deals were unresolved after {resolve_after} days "
            "and count as not won."
        )
        evaluated = panel["evaluated"] & complete
    else:
        known_on = known_on.where(known_on <= through)
        then = _at(org, panel, known_on)
        evaluated = panel["evaluated"] & known_on.notna()
        note = ""
    won = then["status"].eq("won").to_numpy()
    closed = then["close_on"].to_numpy()
    if target.kind == "in period":
        won = won & (panel["starts_on"].to_numpy() <= closed) & (closed <= panel["ends_on"].to_numpy())
    elif target.kind == "within":
        won = won & (closed <= known_on.to_numpy())
    booked = np.where(won, then["amount"].to_numpy(dtype=float, na_value=np.nan), 0.0)
    return panel.assign(
        won=won.astype(int), amount_won=booked, known_on=known_on, complete=evaluated | ~panel["evaluated"]
    ), note


# --- what the forecasters say -------------------------------------------------------------------------


def _check_names(org: Org, names: Sequence[str]) -> list[str]:
    outside = [] if org.forecasts is None else sorted(org.forecasts["forecaster"].unique())
    allowed = [*fc.BUILT_IN, *outside]
    unknown = [n for n in names if n not in allowed]
    if unknown:
        near = {n: get_close_matches(n, allowed, 1) for n in unknown}
        hint = "".join(f" Did you mean {m[0]}?" for m in near.values() if m)
        raise ValueError(
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
        raise ValueError(f"{name} mixes kinds of forecast ({', '.join(kinds)}); give each its own name.")
    issued = pd.to_datetime(rows["issued_at"]).astype("datetime64[us]")
    if "as_of" in rows and rows["as_of"].notna().any():
        dated = rows["as_of"].notna()
        spoken_for = cal.moment(rows.loc[dated, "as_of"], org.settings)
        late = issued[dated].to_numpy() > np.asarray(spoken_for, dtype="datetime64[us]")
        if late.any():
            first = rows[dated][late].iloc[0]
            raise ValueError(
                f"{name} is refused: {int(late.sum()):,} of its forecasts were issued after the moment they speak "
                f"about (deal {first['deal_id']}, as of {first['as_of']:%Y-%m-%d}, issued {first['issued_at']}). "
                "A forecast made with hindsight cannot be compared."
            )
    said = rows.assign(issued_at=issued)[
        ["deal_id", "issued_at", "value", *(["trained_through"] if "trained_through" in rows else [])]
    ].sort_values("issued_at", kind="stable")
    found = pd.merge_asof(
        panel[["deal_id", "moment", "as_of"]], said, left_on="moment", right_on="issued_at", by="deal_id"
    )
    if "trained_through" in found:
        ahead = found["trained_through"].notna() & (found["trained_through"] >= found["as_of"])
        if ahead.any():
            first = found[ahead].iloc[0]
            raise ValueError(
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
    said = pd.DataFrame(np.nan, index=panel.index, columns=names)
    learned: dict[str, list[dict[str, Any]]] = {n: [] for n in names}
    silent = set()
    for look in looks[looks["evaluated"]].itertuples():
        series = panel[panel["series"] == look.series]
        now = series[series["as_of"] == look.as_of]
        train = series[(series["known_on"] <= look.as_of) & (series["as_of"] < look.as_of)]
        if now.empty or not burn_in.over(train):
            silent.add(look.as_of)
            continue
        for name in names:
            said.loc[now.index, name] = fc.BUILT_IN[name].speak(train, now)
            learned[name].append(
                {
                    "period": look.period,
                    "as_of": f"{look.as_of:%Y-%m-%d}",
                    "deals": len(train),
                    "won": int(train["won"].sum()),
                    "through": f"{train['known_on'].max():%Y-%m-%d}",
                }
            )
    return said, learned, silent


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


def _stopped(names: Sequence[str], code: str, text: str) -> pd.DataFrame:
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
    empty.attrs[META] = {"stop": [{"code": code, "text": text}], "flow": []}
    return empty


def match(
    org: Org,
    *,
    as_of: Any = "week 4",
    target: str = "won in period",
    forecasters: Sequence[str] = ("model", "rep_forecast"),
    population: str = "closing in period",
    pool: bool = False,
    stale_after_days: int = 14,
    resolve_after_days: int = 365,
    burn_in: fc.BurnIn | None = None,
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
        raise ValueError(f"population {population!r} is not one of {', '.join(map(repr, POPULATIONS))}.")
    if org.matched is not None:
        return _of_flat_table(org.matched, list(forecasters), seed)
    outside = _check_names(org, forecasters)
    if org.history is None:
        return _stopped(forecasters, "no_history", NO_HISTORY)
    assert org.periods is not None
    looks = _looks(org.periods, as_of)
    if looks.loc[looks["evaluated"], "series"].nunique() > 1 and not pool:
        raise ValueError(
            "Several weeks put the same deal into the table more than once. Say pool=True if that is meant, or "
            "match one week at a time."
        )
    through = pd.Timestamp(newest_record(org))
    looks = looks[looks["as_of"] <= through]
    flow = _Flow()
    flow.add("deals in the export", org.deals)
    panel = _panel(org, looks)
    when = as_of if isinstance(as_of, str) and as_of.startswith("week") else "the as-of"
    flow.add(f"open at the end of {when}", panel[panel["evaluated"]], "not open at that moment of any period")
    known = panel["state"].ne("unknown")
    panel = panel[known]
    flow.add("state known", panel[panel["evaluated"]], "what was believed at that moment is not known")
    if population == "closing in period":
        panel = panel[panel["close_on"].between(panel["starts_on"], panel["ends_on"])]
        why = "not expected to close in the period at that moment"
        flow.add("expected to close in the period", panel[panel["evaluated"]], why)
    panel = panel.reset_index(drop=True)
    panel, note = _with_outcome(org, panel, aim, through, resolve_after_days)
    panel = panel[panel["complete"]].reset_index(drop=True)
    flow.add(
        "outcome known", panel[panel["evaluated"]], "the period is not frozen, or the target not yet known"
    )

    about: dict[str, dict[str, Any]] = {}
    notes = [note] if note else []
    keep = panel["evaluated"].copy()
    fitted = [n for n in forecasters if n in fc.BUILT_IN and fc.BUILT_IN[n].fitted]
    said, learned, silent = _fitted(panel, looks, fitted, burn_in or fc.BurnIn())
    if fitted:
        keep &= ~panel["as_of"].isin(silent)
        why = f"{', '.join(fitted)} had too few resolved deals to learn from"
        flow.add("after the burn-in", panel[keep], why)
    columns: dict[str, Any] = {}
    for name in forecasters:
        if name in outside:
            columns[name], about[name] = _outside(org, panel, name, stale_after_days)
            if about[name]["kind"] not in ("probability", "rank_score"):
                text = f"{name} forecasts a {about[name]['kind']}; only probabilities and rank scores can be matched."
                return _stopped(forecasters, "kinds_differ", text)
            speaks = columns[name].notna().groupby(panel["as_of"]).transform("any")
            began = panel.loc[keep & speaks, "as_of"].min()
            if (keep & (panel["as_of"] < began)).any():
                keep &= panel["as_of"] >= began
                flow.add(f"{name} had begun", panel[keep], f"before the first forecast of {name}")
            continue
        f = fc.BUILT_IN[name]
        columns[name] = said[name] if f.fitted else f.speak(panel, panel)
        about[name] = {"kind": "probability", "gloss": f.gloss, "from_file": False}
        if f.fitted:
            about[name]["learned"] = learned[name]
        if f.own_target and f.own_target != target:
            about[name]["target"] = f.own_target
    panel = panel.assign(**columns)[keep].reset_index(drop=True)
    if "rep_forecast" in forecasters and len(panel):
        about["rep_forecast"]["stage_default_share"] = round(default_share(org, panel), 4)
    if panel.empty:
        text = "No deal is left to compare; the flow says where they went."
        stopped = _stopped(forecasters, "no_common_deals", text)
        stopped.attrs[META]["flow"] = flow.steps
        return stopped

    segments = [c for c in org.deals if c not in _NOT_SEGMENTS]
    matched = panel[
        [
            *("deal_id", "as_of", "period", "rep", "account", "won", "amount", "amount_won"),
            *segments,
            *("stage", "rep_category", "state"),
            *forecasters,
        ]
    ].copy()
    if pool:
        matched.insert(3, "week", panel["series"])
    matched = matched.sort_values(["as_of", "deal_id"], kind="stable", ignore_index=True)
    carried = float(matched["state"].eq("carried").mean())
    matched.attrs[META] = {
        "source": org.name,
        "as_of": as_of if isinstance(as_of, str) else [str(a) for a in np.atleast_1d(as_of)],
        "target": target,
        "population": POPULATIONS[population].format(as_of=f"the end of {when}", period="period"),
        "nouns": {"period": "quarters" if _quarterly(org.periods) else "periods"},
        "forecasters": about,
        "flow": flow.steps,
        "carried_share": round(carried, 4),
        "notes": notes,
    }
    return matched


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
        "base_rate": "the share of the other deals that was won",
    }
    about = meta.get("forecasters", {}) | {
        n: {"kind": "probability", "gloss": glosses[n], "from_file": False} for n in wanted
    }
    out.attrs[META] = meta | {"forecasters": about}
    return out
