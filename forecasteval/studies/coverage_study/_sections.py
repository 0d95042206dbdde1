"""The sections of the coverage study: each shows its words, and its picture where it has one."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from forecasteval.report.figures import Absent, Picture
from forecasteval.report.section import Section
from forecasteval.scores.probability import METRICS
from forecasteval.studies.coverage_study import _figures as figures
from forecasteval.studies.coverage_study._beside import EASY, Interval
from forecasteval.studies.coverage_study._found import Found
from forecasteval.studies.coverage_study._goals import GOALS
from forecasteval.studies.coverage_study._others import OTHERS
from forecasteval.studies.coverage_study.design import FULL, Cell

_FAMILIES = {
    "reps": "number, size and\nbias of reps",
    "wins": "rare and\ncommon wins",
    "deals": "50 to 100,000\ndeals",
    "periods": "quarters with\nand without shocks",
    "amounts": "large amounts",
    "accounts": "several deals\nof an account",
    "looks": "deals seen in\nseveral weeks",
    "awkward reps": "reps who differ\nin awkward ways",
    "many reps": "120 and 400 reps",
    "awkward accounts": "accounts that\ncross reps",
    "quarters alike": "quarters like the\nones before",
    "awkward amounts": "very unequal\namounts",
    "equal": "equally good\nforecasters",
    "real tables": "real tables",
}
_FOR = {
    "deal": "new deals",
    "rep": "new reps",
    "period": "new quarters",
    "account": "new accounts",
    "deal and period": "same reps, new quarters",
    "rep and period": "new reps and quarters",
}
_OURS = "ours: CR3J, Bell-McCaffrey df, one longer arm"
_CLUSTERS = r"^\d+ clusters of "  # how pilots drawn from a real table are named


def _range(values: pd.Series) -> str:
    return "–".join(_share(v) for v in (values.min(), values.max()))


def _share(value: float) -> str:
    """A share with two digits; with three where two would show the goal."""
    text = f"{value:.2f}"
    return f"{value:.3f}" if text == f"{GOALS['coverage']:.2f}" else text


class ByKind(Section):
    """How often every interval held the truth, by family and by question."""

    answer: Found

    def figure(self) -> Picture | Absent:
        """Every interval of the study, with the plain jackknife interval behind it."""
        known = self.answer.known
        if known.empty:
            return Absent("No cell has been run yet.")
        rows = {label: known[known["family"] == family] for family, label in _FAMILIES.items()}
        families = {label: part for label, part in rows.items() if len(part)}
        title, alt = (self.say(f"coverage_{part}", families).text for part in ("title", "alt"))
        return figures.coverage(families, title, alt)

    @property
    def by_family(self) -> list[list[str]]:
        """Misses and the range of coverage of each family."""
        return [
            [
                _FAMILIES[str(family)].replace("\n", " "),
                f"{rows['misses'].str.contains('coverage').sum()} of {len(rows):,}",
                _range(rows["coverage"]),
                _range(rows["coverage_cr3j"]),
            ]
            for family, rows in self.answer.known.groupby("family", sort=False)
        ]

    @property
    def by_question(self) -> list[list[str]]:
        """The same by what may be different next time, with width and flags."""
        return [
            [
                _FAMILIES[str(family)].replace("\n", " "),
                _FOR[str(question)],
                f"{rows['misses'].str.contains('coverage').sum()} of {len(rows):,}",
                _range(rows["coverage"]),
                f"{rows['width'].median():.2f}",
                f"{rows['flagged'].mean():.0%}",
            ]
            for (family, question), rows in self.answer.known.groupby(["family", "for"], sort=False)
        ]

    @property
    def false(self) -> list[tuple[str, float]]:
        """Largest share of false verdicts, by question."""
        most = self.answer.known.groupby("for", sort=False)["false_better"].max().dropna()
        return [(_FOR[str(question)], share) for question, share in most.items()]


@dataclass(frozen=True)
class _Kind:
    """Rows of one kind of pilot that miss."""

    name: str
    rows: pd.DataFrame

    @property
    def real(self) -> bool:
        """Is it drawn from a real table?"""
        return bool((self.rows["family"] == "real tables").all())

    @property
    def scores(self) -> list[str]:
        """Its scores, as a reader knows them."""
        return list(dict.fromkeys(METRICS[m].label for m in self.rows["metric"]))

    @property
    def held(self) -> list[str]:
        """Lowest and highest coverage, or one where they read the same."""
        return list(
            dict.fromkeys(f"{v:.1%}" for v in (self.rows["coverage"].min(), self.rows["coverage"].max()))
        )

    @property
    def cell(self) -> Cell | None:
        """Its cell of the design."""
        return next((c for c in FULL if c.name == self.name), None)


class Failing(Section):
    """Which kinds of pilot miss the goal for coverage, and what is known of each."""

    answer: Found

    @property
    def low(self) -> pd.DataFrame:
        """Rows that miss it."""
        return self.answer.missing("coverage")

    @property
    def asked(self) -> list[str]:
        """What may be different next time in them."""
        return sorted({_FOR[str(q)] for q in self.low["for"]})

    @property
    def kinds(self) -> list[_Kind]:
        """By kind of pilot, those with most rows first."""
        low = self.low
        kinds = low["cell"].str.replace(_CLUSTERS, "", regex=True)
        parts = sorted(low.groupby(kinds, sort=False), key=lambda part: -len(part[1]))
        return [_Kind(str(name), rows) for name, rows in parts]

    @property
    def one_sided(self) -> int:
        """Rows that hold the truth often enough and miss too much on one side."""
        side = self.answer.missing("one side")
        return int((~side["misses"].str.contains("coverage")).sum())


class Published(Section):
    """Coverage and power beside the published intervals, on the same pilots."""

    answer: Found

    @property
    def beside(self) -> pd.DataFrame:
        """Rows in which all four can be formed."""
        table = self.answer.known
        return table.dropna(subset=["coverage_cr2"]) if "coverage_cr2" in table else table.head(0)

    @property
    def intervals(self) -> list[Interval]:
        """Ours first."""
        return [Interval(name, label, self.beside) for name, label in {"": _OURS, **OTHERS}.items()]

    @property
    def easy(self) -> int:
        """Rows in which CR2 needs no help."""
        return int((self.beside["coverage_cr2"] >= EASY).sum())

    def figure(self) -> Picture | Absent:
        """Coverage and power of the four, side by side."""
        if self.beside.empty:
            return Absent("No cell has been run yet.")
        said, alt = (self.say(f"others_{part}").text for part in ("title", "alt"))
        return figures.others(self.intervals, said, alt)
