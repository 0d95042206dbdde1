"""Runs the cells of the coverage study, keeps what is done, and says which goals each cell meets."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.compare.pair import Biases, pair_of
from forecasteval.errors import CallError
from forecasteval.inference import few_clusters as caution
from forecasteval.inference import jackknife as intervals
from forecasteval.inference.grouping import Grouping
from forecasteval.inference.limits import LIMITS, few_events
from forecasteval.inference.limits import doubts as doubts_about
from forecasteval.inference.questions import needed
from forecasteval.scores.probability import METRICS
from forecasteval.studies.coverage_study.design import FULL, QUICK, Cell, Drawn
from forecasteval.studies.coverage_study.simulate import Pilot, Resampler, Simulator

Floats = NDArray[np.float64]
NOUNS = {"rep": "reps", "period": "periods", "account": "accounts"}
LEVEL = 0.95
CHUNK = 250  # runs of one task
# what is kept of each run
COLUMNS = ("truth", "estimate", "se", "low", "high", "plain_low", "plain_high", "possible", "reliable")
GOALS = {"coverage": 0.93, "one_sided": 0.045, "false_better": 0.07, "width": 1.3}


def judge(pilot: Pilot, metric: str, questions: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], Floats]:
    """One pilot under one metric, as `fe.compare` judges it, with the plain interval beside.

    Parameters
    ----------
    pilot : Pilot
    metric : str
    questions : tuples of str

    Returns
    -------
    dict of arrays of shape (9,), in the order of COLUMNS without the truth's question
    """
    deals = pilot.deals
    groups = Grouping.of(pilot.rep, pilot.period, pilot.account, pilot.unit, deals.won.size)
    questions = tuple(questions)
    dimensions = tuple(dict.fromkeys(d for q in questions for d in needed(q)))
    units = any("deal" in q for q in questions)
    won = deals.won if pilot.unit is None else deals.won[np.unique(pilot.unit, return_index=True)[1]]
    wins = int(won.sum())
    nothing = np.array([math.nan] * 7 + [0.0, 0.0])
    if wins in (0, won.size):
        return dict.fromkeys(questions, nothing)
    biases = Biases.of(deals, groups)
    estimate = pair_of(METRICS[metric], deals, groups, dimensions, units=units, biases=biases).difference
    found = {}
    for question in questions:
        over = {d: estimate.clusters(d) for d in question if d != "deal"}
        possible, doubts = doubts_about(
            over, NOUNS, undefined=[d for d in over if not estimate.over[d].defined]
        )
        doubts = doubts + few_events(wins, int(won.size) - wins)
        row = nothing.copy()
        row[1] = estimate.value
        if possible:
            spread = estimate.spread(question)
            i = caution.interval(estimate.value, spread, LEVEL)
            plain = intervals.t_interval(estimate.value, spread, LEVEL)
            row[2:] = spread.se, i.low, i.high, plain.low, plain.high, 1.0, not doubts
        row[0] = pilot.truth.get((metric, question), math.nan)
        found[question] = row
    return found


def chunk(cell: Cell | Drawn, runs: int, seed: tuple[int, ...]) -> dict[tuple[str, tuple[str, ...]], Floats]:
    """Some runs of a cell.

    Parameters
    ----------
    cell : Cell or Drawn
    runs : int
    seed : tuple of int

    Returns
    -------
    dict of arrays of shape (runs, 9) by metric and question
    """
    rng = np.random.default_rng(seed)
    simulator = Resampler(cell) if isinstance(cell, Drawn) else Simulator(cell)
    rows: dict[tuple[str, tuple[str, ...]], list[Floats]] = {}
    for _ in range(runs):
        pilot = simulator.draw(rng)
        for metric in cell.metrics:
            asked = [q for q in cell.questions if (metric, q) in pilot.truth]
            for question, row in judge(pilot, metric, asked).items():
                rows.setdefault((metric, question), []).append(row)
    return {k: np.array(v) for k, v in rows.items()}


def _misses(found: dict[str, Floats], which: NDArray[np.bool_], low: str, high: str) -> tuple[float, float]:
    """Shares of intervals wholly below and wholly above the truth."""
    if not which.any():
        return math.nan, math.nan
    truth = found["truth"][which]
    return float((found[high][which] < truth).mean()), float((found[low][which] > truth).mean())


def summary(rows: Floats, *, verdict: bool = True) -> dict[str, float]:
    """What many runs of one cell, metric and question say about the interval.

    The oracle's width is 2 sd(R - truth) q with q the .95 quantile of |R - truth| / SE: the true standard error
    with the ideal quantile of the same statistic.

    Parameters
    ----------
    rows : array of shape (runs, 9)
    verdict : bool
        Does the metric have one? Where it has and the truth is exactly 0, any "better" is a false one.

    Returns
    -------
    dict
    """
    found = dict(zip(COLUMNS, rows.T, strict=True))
    possible, reliable = found["possible"] == 1, found["reliable"] == 1
    reliable &= np.isfinite(found["low"])
    below, above = _misses(found, reliable, "low", "high")
    plain = _misses(found, possible & np.isfinite(found["plain_low"]), "plain_low", "plain_high")
    everything = _misses(found, possible & np.isfinite(found["low"]), "low", "high")
    n = int(reliable.sum())
    coverage = 1 - below - above
    error = found["estimate"] - found["truth"]
    spread = possible & (found["se"] > 0)
    width = width_plain = math.nan
    if n and spread.sum() > 20:
        ideal = float(np.quantile(np.abs(error[spread]) / found["se"][spread], LEVEL))
        oracle = 2 * float(error[spread].std()) * ideal
        width = float(np.median((found["high"] - found["low"])[reliable])) / oracle
        width_plain = float(np.median((found["plain_high"] - found["plain_low"])[reliable])) / oracle
    decided = reliable & ((found["low"] > 0) | (found["high"] < 0))
    return {
        "runs": float(rows.shape[0]),
        "possible": float(possible.mean()),
        "flagged": float(1 - reliable.mean()),
        "coverage": coverage,
        "mc_error": math.sqrt(max(coverage * (1 - coverage), 0) / n) if n else math.nan,
        "below": below,
        "above": above,
        "width": width,
        "false_better": float(decided.sum() / n) if verdict and n and not found["truth"].any() else math.nan,
        "coverage_all": 1 - sum(everything),
        "coverage_plain": 1 - sum(plain),
        "width_plain": width_plain,
    }


@dataclass(frozen=True)
class Study:
    """A set of cells, each with a number of runs, and a folder that keeps what is done.

    Parameters
    ----------
    cells : tuple of Cell or Drawn
    runs : int
    store : Path
        One file a cell; a cell that is there with the same definition, runs, seed and method is not run again.
    seed : int
    workers : int
        Processes; 0 for one per processor.
    """

    cells: tuple[Cell | Drawn, ...]
    runs: int
    store: Path
    seed: int = 0
    workers: int = 0

    @classmethod
    def of(
        cls,
        setting: str,
        runs: int = 0,
        tables: Iterable[str] = (),
        store: str = "",
        seed: int = 0,
        workers: int = 0,
    ) -> Study:
        """The study as its notebook asks for it.

        Parameters
        ----------
        setting : "quick" or "full"
            The declared design, or a few cells of it.
        runs : int
            Of each cell; 0 for 200 (quick) or 2,000 (full).
        tables : list of str
            Real tables to draw pilots from, as :meth:`Drawn.parse` reads them.
        store : str
            A relative one is looked for from the working directory upwards.
        seed, workers : int

        Raises
        ------
        ValueError
            Lists everything that cannot be used.
        """
        wrong = []
        if setting not in ("quick", "full"):
            wrong.append(f"setting: {setting!r} is neither quick nor full.")
        if runs < 0 or 0 < runs < 20:
            wrong.append(
                f"runs: {runs} is too few to say anything; 20 at least, or 0 for the setting's own number."
            )
        drawn: list[Drawn] = []
        for told in tables:
            try:
                drawn += Drawn.parse(told)
                if not Path(drawn[-1].file).is_file():
                    wrong.append(f"tables: there is no file {drawn[-1].file}.")
            except CallError as error:
                wrong.append(f"tables: {error}")
        if wrong:
            count = f"{len(wrong)} parameter{'s' if len(wrong) > 1 else ''} cannot be used:"
            raise CallError("\n- ".join([count, *wrong]))
        first = Path(store or "reports/coverage_cells")
        places = (base for base in (Path.cwd(), *Path.cwd().parents) if (base / first.parts[0]).exists())
        cells: tuple[Cell | Drawn, ...] = (*(QUICK if setting == "quick" else FULL), *drawn)
        return cls(
            cells,
            runs or (200 if setting == "quick" else 2000),
            next(places, Path.cwd()) / first,
            seed,
            workers,
        )

    def _file(self, cell: Cell | Drawn) -> Path:
        method = [
            caution.SKEW_GAIN,
            caution.LEAN_GAIN,
            caution.LONGEST_ARM,
            asdict(LIMITS),
        ]
        about = asdict(cell)
        if isinstance(cell, Drawn):  # the same name may stand for other rows tomorrow
            about["file"] = hashlib.sha256(Path(cell.file).read_bytes()).hexdigest()
        told = json.dumps([about, self.runs, self.seed, CHUNK, method], sort_keys=True)
        return Path(self.store) / f"{hashlib.sha256(told.encode()).hexdigest()[:16]}.csv"

    @property
    def waiting(self) -> list[Cell | Drawn]:
        """The cells still to be run."""
        return [c for c in self.cells if not self._file(c).is_file()]

    def run(self) -> Iterator[Cell | Drawn]:
        """Run what is waiting, cell by cell; each is kept as soon as it is done.

        Yields
        ------
        Cell, when it is done
        """
        Path(self.store).mkdir(parents=True, exist_ok=True)
        waiting = self.waiting
        if not waiting:
            return
        parts = [min(CHUNK, self.runs - at) for at in range(0, self.runs, CHUNK)]
        done: dict[Cell | Drawn, dict[int, Any]] = {c: {} for c in waiting}
        workers = self.workers or os.cpu_count() or 1
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            jobs = {}
            for cell in waiting:
                number = int(hashlib.sha256(cell.name.encode()).hexdigest()[:8], 16)
                for i, runs in enumerate(parts):
                    jobs[pool.submit(chunk, cell, runs, (self.seed, number, i))] = (cell, i)
            for job in as_completed(jobs):
                cell, i = jobs[job]
                done[cell][i] = job.result()
                if len(done[cell]) == len(parts):
                    self._keep(cell, [done[cell][i] for i in range(len(parts))])
                    del done[cell]
                    yield cell

    def _keep(self, cell: Cell | Drawn, parts: list[dict[tuple[str, tuple[str, ...]], Floats]]) -> None:
        rows = []
        for metric, question in parts[0]:
            all_runs = np.concatenate([p[metric, question] for p in parts])
            about = {
                "cell": cell.name,
                "family": cell.family,
                "metric": metric,
                "for": " and ".join(question),
            }
            rows.append(about | summary(all_runs, verdict=METRICS[metric].better != "nearer_zero"))
        file = self._file(cell)
        part = file.with_suffix(".part")
        pd.DataFrame(rows).to_csv(part, index=False, float_format="%.5g")
        part.replace(file)

    def table(self) -> pd.DataFrame:
        """What is known so far, one row per cell, metric and question, in the design's order."""
        done = [pd.read_csv(self._file(c)) for c in self.cells if self._file(c).is_file()]
        return missed(pd.concat(done, ignore_index=True)) if done else pd.DataFrame()


def missed(table: pd.DataFrame) -> pd.DataFrame:
    """Which goals each row misses: coverage, one side, a false better, width.

    A row misses when its Monte Carlo interval (1.96 errors) lies wholly beyond the goal; fewer than 50 runs that
    count are no evidence either way.

    Parameters
    ----------
    table : DataFrame as :meth:`Study.table` makes it

    Returns
    -------
    DataFrame with a column `misses`, words joined by commas

    Examples
    --------
    >>> row = {"runs": 2000, "flagged": 0.1, "coverage": 0.90, "mc_error": 0.007, "below": 0.01, "above": 0.09,
    ...        "width": 0.9, "false_better": float("nan")}
    >>> missed(pd.DataFrame([row]))["misses"].tolist()
    ['coverage, one side']
    """
    counted = table["runs"] * (1 - table["flagged"])

    def beyond(share: pd.Series, goal: float) -> pd.Series:
        error = np.sqrt(share * (1 - share) / counted.clip(lower=1))
        return (share - 1.96 * error > goal) & (counted >= 50)

    side = table[["below", "above"]].max(axis=1)
    marks = {
        "coverage": (table["coverage"] + 1.96 * table["mc_error"] < GOALS["coverage"]) & (counted >= 50),
        "one side": beyond(side, GOALS["one_sided"]),
        "false better": beyond(table["false_better"], GOALS["false_better"]),
        "width": (table["width"] > GOALS["width"]) & (counted >= 50),
    }
    words = [", ".join(k for k, v in marks.items() if v.iloc[i]) for i in range(len(table))]
    return table.assign(misses=words)


def read(file: Path | str) -> pd.DataFrame:
    """A finished study's table."""
    return missed(pd.read_csv(file).drop(columns="misses", errors="ignore"))
