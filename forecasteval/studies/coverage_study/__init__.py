"""How often the intervals hold the truth: simulated pilots whose truth is known, one cell of a design at a time."""

from forecasteval.studies.coverage_study.design import FULL, QUICK, Cell, Drawn
from forecasteval.studies.coverage_study.study import Study, missed, read

__all__ = ["FULL", "QUICK", "Cell", "Drawn", "Study", "missed", "read"]
