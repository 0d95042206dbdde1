"""How often do the intervals hold the truth? Simulated pilots, each judged as `fe.compare` judges one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import AfterValidator, Field

from forecasteval.errors import CallError
from forecasteval.report.section import Card, said
from forecasteval.studies.coverage_study import _sections as sections
from forecasteval.studies.coverage_study._found import Found
from forecasteval.studies.coverage_study._runs import Runs
from forecasteval.studies.coverage_study.design import FULL, QUICK, Drawn
from forecasteval.studies.parameters import Names, Parameters, Seed, only

_CELLS = "reports/coverage_cells"


_TOO_FEW = "{value} is too few to say anything; 20 at least, or 0 for the setting's own number."


def _readable(value: list[str]) -> list[str]:
    wrong = []
    for told in value:
        try:
            file = Drawn.parse(told)[0].file
            if not Path(file).is_file():
                wrong.append(f"there is no file {file}.")
        except CallError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("\n".join(wrong))
    return value


class Study(Parameters):
    """The study as its notebook asks for it.

    Parameters
    ----------
    setting : "quick" or "full"
        A few cells of the declared design, or all.
    runs : int
        Of each cell; 0 for 200 (quick) or 2,000 (full).
    tables : list of str
        Real tables to draw pilots from, as "file.csv: candidate, baseline, cluster".
    store : str
        Where finished cells are kept; a relative folder is looked for from the working directory upwards.
    workers : int
        Processes; 0 for one per processor.

    Raises
    ------
    CallError
        Lists everything that cannot be used.
    """

    setting: Annotated[
        str, only(lambda v: v in ("quick", "full"), "{value!r} is neither quick nor full.")
    ] = "quick"
    runs: Annotated[int, only(lambda v: v == 0 or v >= 20, _TOO_FEW)] = 0
    tables: Annotated[Names, AfterValidator(_readable)] = Field(default_factory=list)
    store: str = _CELLS
    seed: Seed = 0
    workers: int = 0

    @property
    def cells(self) -> Runs:
        """What there is to run."""
        first = Path(self.store or _CELLS)
        places = (base for base in (Path.cwd(), *Path.cwd().parents) if (base / first.parts[0]).exists())
        drawn = [cell for told in self.tables for cell in Drawn.parse(told)]
        return Runs(
            (*(QUICK if self.setting == "quick" else FULL), *drawn),
            self.runs or (200 if self.setting == "quick" else 2000),
            next(places, Path.cwd()) / first,
            self.seed,
            self.workers,
        )

    def run(self) -> StudyAnswer:
        """Run the cells that are not done yet, with a bar; what is done is kept."""
        from tqdm import tqdm

        cells = self.cells
        waiting = len(cells.waiting)
        for _ in tqdm(cells.run(), total=waiting, unit="cell", disable=not waiting):
            pass
        return StudyAnswer(cells.table(), len(cells.waiting), self)


@dataclass(frozen=True, eq=False)
class StudyAnswer(Found):
    """What the study found: its table, and its sections, each made when it is asked for."""

    study: Study = field(default_factory=Study)

    verdict = cached_property(Card)
    glossary = said("glossary")
    coverage = cached_property(sections.ByKind)
    failing = cached_property(sections.Failing)
    others = cached_property(sections.Published)

    def results(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        return {
            "headline": self.verdict.headline,
            "about": self.of_itself("inputs", "change"),
            "setting": self.study.setting,
            "runs": self.study.cells.runs,
            "seed": self.study.seed,
        }

    def tables(self) -> dict[str, pd.DataFrame]:
        """Name to table."""
        return {"coverage_study": self.table}
