"""Cells, each with a number of runs, and a folder that keeps what is done."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.scores.probability import METRICS
from forecasteval.studies.coverage_study._goals import missed
from forecasteval.studies.coverage_study._judge import METHOD, Floats, judge, summary
from forecasteval.studies.coverage_study._pilots import Resampler, Simulator, Truth
from forecasteval.studies.coverage_study.design import Cell, Drawn

_CHUNK = 250  # runs of one task


def chunk(cell: Cell | Drawn, runs: int, seed: tuple[int, ...]) -> dict[Truth, Floats]:
    """Some runs of a cell: an array of shape (runs, 9) by metric and question."""
    rng = np.random.default_rng(seed)
    simulator = Resampler(cell) if isinstance(cell, Drawn) else Simulator(cell)
    rows: dict[Truth, list[Floats]] = {}
    for _ in range(runs):
        pilot = simulator.draw(rng)
        for metric in cell.metrics:
            asked = [q for q in cell.questions if (metric, q) in pilot.truth]
            for question, row in judge(pilot, metric, asked).items():
                rows.setdefault((metric, question), []).append(row)
    return {k: np.array(v) for k, v in rows.items()}


@dataclass(frozen=True)
class Runs:
    """Every cell has a file of its own; one that is there with the same definition, runs, seed and method is done."""

    cells: tuple[Cell | Drawn, ...]
    runs: int
    store: Path
    seed: int = 0
    workers: int = 0

    def _file(self, cell: Cell | Drawn) -> Path:
        about = asdict(cell)
        if isinstance(cell, Drawn):  # the same name may stand for other rows tomorrow
            about["file"] = hashlib.sha256(Path(cell.file).read_bytes()).hexdigest()
        told = json.dumps([about, self.runs, self.seed, _CHUNK, METHOD], sort_keys=True)
        return Path(self.store) / f"{hashlib.sha256(told.encode()).hexdigest()[:16]}.csv"

    @property
    def waiting(self) -> list[Cell | Drawn]:
        """The cells still to be run."""
        return [c for c in self.cells if not self._file(c).is_file()]

    def run(self) -> Iterator[Cell | Drawn]:
        """Run what is waiting, cell by cell; each is kept as soon as it is done."""
        Path(self.store).mkdir(parents=True, exist_ok=True)
        waiting = self.waiting
        if not waiting:
            return
        parts = [min(_CHUNK, self.runs - at) for at in range(0, self.runs, _CHUNK)]
        done: dict[Cell | Drawn, dict[int, Any]] = {c: {} for c in waiting}
        for cell, i, rows in self._chunks(waiting, parts):
            done[cell][i] = rows
            if len(done[cell]) == len(parts):
                self._keep(cell, [done[cell][i] for i in range(len(parts))])
                del done[cell]
                yield cell

    def _chunks(
        self, cells: list[Cell | Drawn], parts: list[int]
    ) -> Iterator[tuple[Cell | Drawn, int, dict[Truth, Floats]]]:
        """The parts of each cell as they are done; what is drawn does not depend on who draws it, or when."""
        numbers = {c: int(hashlib.sha256(c.name.encode()).hexdigest()[:8], 16) for c in cells}
        tasks = [
            (cell, i, runs, (self.seed, numbers[cell], i)) for cell in cells for i, runs in enumerate(parts)
        ]
        workers = self.workers or os.cpu_count() or 1
        if workers == 1:  # a second process would only have to start
            yield from ((cell, i, chunk(cell, runs, seed)) for cell, i, runs, seed in tasks)
            return
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            jobs = {pool.submit(chunk, cell, runs, seed): (cell, i) for cell, i, runs, seed in tasks}
            for job in as_completed(jobs):
                yield *jobs[job], job.result()

    def _keep(self, cell: Cell | Drawn, parts: list[dict[Truth, Floats]]) -> None:
        rows = []
        for metric, question in parts[0]:
            runs = np.concatenate([p[metric, question] for p in parts])
            about = {
                "cell": cell.name,
                "family": cell.family,
                "metric": metric,
                "for": " and ".join(question),
            }
            rows.append(about | summary(runs, verdict=METRICS[metric].better != "nearer_zero"))
        file = self._file(cell)
        part = file.with_suffix(".part")
        pd.DataFrame(rows).to_csv(part, index=False, float_format="%.5g")
        part.replace(file)

    def table(self) -> pd.DataFrame:
        """What is known so far, one row per cell, metric and question, in the design's order."""
        done = [pd.read_csv(self._file(c)) for c in self.cells if self._file(c).is_file()]
        return missed(pd.concat(done, ignore_index=True)) if done else pd.DataFrame()
