"""Rolling origin: forecasts of the model and of a rule by the number of closed deals that they learned from.

At each look of each period both are fitted to the last n deals whose outcome was known by then, and speak about that
period's deals. Every n speaks about the same deals at the same moments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.matching import forecasters
from forecasteval.matching.forecasters import Seen
from forecasteval.matching.matched import Matched

# numbers of closed deals that a learning curve is drawn at
GRID = (25, 35, 50, 70, 100, 140, 200, 280, 400, 560, 800, 1100, 1600, 2200, 3200, 4500, 6400, 9000, 12800)
_Past = tuple[pd.Timestamp, NDArray[np.intp]]  # a look, and the rows that were known by then


@dataclass(frozen=True, eq=False)
class Learning:
    """What a learning curve is drawn from.

    ``columns`` holds what was said at every size by the model, the rule and the twin (what the baseline would be once
    corrected, where that was asked for), which ``model``, ``rule`` and ``twin`` name; ``table`` has it beside the baseline;
    ``fits`` holds size, period, deals, won, parameters of each fit; ``stop`` says why there is no curve.
    """

    table: Matched = field(default_factory=lambda: Matched(pd.DataFrame()))
    sizes: tuple[int, ...] = ()
    model: Mapping[int, str] = field(default_factory=dict)
    rule: Mapping[int, str] = field(default_factory=dict)
    fits: pd.DataFrame = field(default_factory=pd.DataFrame)
    stop: str = ""
    twin: Mapping[int, str] = field(default_factory=dict)
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)

    def beside(self, matched: Matched, baseline: str) -> Learning:
        """Put the forecasts beside the baseline's, with what fell out on the way."""
        if matched.stop:
            return Learning(stop=matched.stop[0]["text"])
        joined = matched.table.merge(self.columns, on=["deal_id", "as_of"], how="inner")
        flow = list(matched.flow)
        for step, kept, why in (
            (f"{self.sizes[-1]:,} closed deals to learn from", joined, "too few outcomes were known by then"),
            (f"{baseline} gives a forecast", joined[joined[baseline].notna()], f"no forecast by {baseline}"),
        ):
            deals = int(kept["deal_id"].nunique())
            flow.append({"step": step, "deals": deals, "dropped": flow[-1]["deals"] - deals, "why": why})
            joined = kept.reset_index(drop=True)
        about = {
            name: {
                "kind": "probability",
                "from_file": False,
                "gloss": f"{name.rsplit('_n', 1)[0]}, fitted to the last {n} closed deals",
            }
            for by_size in (self.model, self.rule, self.twin)
            for n, name in by_size.items()
        }
        known = {**matched.forecasters, **about}
        return replace(self, table=replace(matched, table=joined, flow=flow, forecasters=known))


def pasts_of(panel: pd.DataFrame, seed: int) -> list[_Past]:
    """Each look with the rows whose outcome was known by then, the latest known last; ties in a drawn order."""
    as_of, known = panel["as_of"].to_numpy(), panel["known_on"].to_numpy()
    drawn = np.random.default_rng(seed).permutation(len(panel))
    found = []
    for day in np.unique(as_of):
        train = np.flatnonzero((as_of < day) & (known <= day))
        found.append((pd.Timestamp(day), train[np.lexsort((drawn[train], known[train]))]))
    return found


def fit(past: Seen) -> tuple[int, Callable[[Seen, Seen], NDArray[np.float64]]]:
    """The reference model's number of fitted columns, and how it speaks; without both outcomes a bare rate."""
    won = past.won.sum()
    if won in (0, len(past.won)):
        return 0, forecasters.BUILT_IN["base_rate"].speak
    used = ((past.design != 0).sum(axis=0) >= 10) & (past.design.std(axis=0) > 0)
    return int(used.sum()), forecasters.BUILT_IN["model"].speak


def roll(
    panel: pd.DataFrame,
    pasts: Sequence[_Past],
    sizes: tuple[int, ...],
    rule: str,
    twin: str = "",
    seen: Seen | None = None,
) -> Learning:
    """Fit model, rule and twin to the last n known deals of each look, for every n, and let them speak about it.

    Looks by which fewer outcomes were known than the largest size takes are left out: all sizes speak about the same deals.
    ``seen`` is what they may see of the panel's rows, where these are no deals with stages.
    """
    pasts = [(day, train) for day, train in pasts if len(train) >= sizes[-1]]
    seen = forecasters.see(panel) if seen is None else seen
    fitted = {role: {n: f"{role}_n{n}" for n in sizes} for role in ("model", rule, twin) if role}
    model = fitted["model"]
    said = {name: np.full(len(panel), np.nan) for by_size in fitted.values() for name in by_size.values()}
    fits: list[dict[str, Any]] = []
    for day, train in pasts:
        now = np.flatnonzero(panel["as_of"] == day)
        period = panel["period"].iloc[now[0]]
        for n in sizes:
            past, present = seen.take(train[-n:]), seen.take(now).unaware()
            parameters, speak = fit(past)
            said[model[n]][now] = speak(past, present)
            for role in fitted.keys() - {"model"}:
                said[fitted[role][n]][now] = forecasters.BUILT_IN[role].speak(past, present)
            won = int(past.won.sum())
            fits.append({"size": n, "period": period, "deals": n, "won": won, "parameters": parameters})
    judged = panel["as_of"].isin([day for day, _ in pasts])
    columns = panel[["deal_id", "as_of"]].assign(**said)[judged]
    return Learning(
        sizes=sizes,
        model=model,
        rule=fitted[rule],
        fits=pd.DataFrame(fits),
        twin=fitted.get(twin, {}),
        columns=columns,
    )
