"""Write what reports cite, compare/proof.json, from a finished study: python -m forecasteval.studies.coverage_study CSV."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from forecasteval.compare import proof
from forecasteval.studies.coverage_study._goals import counted, read


def summarise(study: Path | str, into: Path) -> None:
    """Count a study's table."""
    counts = {name: round(n, 6) for name, n in asdict(counted(read(study))).items()}
    into.write_text(json.dumps(counts, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    summarise(sys.argv[1], Path(proof.__file__).with_suffix(".json"))
