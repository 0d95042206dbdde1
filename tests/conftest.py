"""Throw-away notebooks, so that reports are tested without the real ones."""

import json
import os
import shutil
import warnings
from pathlib import Path

# as in a report's kernel: threads that fight over small fits cost more than they bring
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import pandas as pd
import pytest
from hypothesis import settings

from forecasteval.report._execute import quick_imports

quick_imports()  # before a test imports nbformat: seconds in every worker
settings.register_profile("any machine", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("any machine")


def code(source, *tags):
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source)) % 10**8}",
        "metadata": {"tags": list(tags)} if tags else {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def text(source, *tags):
    return {
        "cell_type": "markdown",
        "id": f"t{abs(hash(source)) % 10**8}",
        "metadata": {"tags": list(tags)},
        "source": source,
    }


@pytest.fixture
def write_notebook(tmp_path):
    """Write cells as a notebook; strings that start with `#` are text, the first code cell the parameters."""

    def write(*sources, name="small"):
        cells = []
        for source in sources:
            if isinstance(source, dict):
                cells.append(source)
            elif source.startswith("# ") or source.startswith("## "):
                cells.append(text(source))
            elif not any(c["cell_type"] == "code" for c in cells):
                cells.append(code(source, "parameters"))
            else:
                cells.append(code(source))
        for n, cell in enumerate(cells):
            cell["id"] = f"cell-{n}"
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        content = {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
        path = tmp_path / f"{name}.ipynb"
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.fixture(scope="session")
def spark():
    """Spark on two threads of this machine."""
    sql = pytest.importorskip("pyspark.sql")
    if not shutil.which("java"):
        pytest.skip("PySpark needs Java, which is not installed")
    options = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.log.level": "ERROR",
    }
    builder = sql.SparkSession.builder.master("local[2]")
    for name, value in options.items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = builder.getOrCreate()
    yield session
    session.stop()


KNOWN = Path(__file__).parents[2] / "shared" / "known_answers"


@pytest.fixture
def known():
    """R's reference numbers by name, where they are beside the checkout."""
    if not KNOWN.is_dir():
        pytest.skip("the reference numbers are not beside the checkout")
    return lambda name: json.loads((KNOWN / f"{name}.json").read_text())


@pytest.fixture
def toy_deals():
    """The table that the reference numbers were computed from, as a matched table."""
    if not KNOWN.is_dir():
        pytest.skip("the reference numbers are not beside the checkout")
    table = pd.read_csv(KNOWN / "deals_toy.csv")
    return table.rename(columns={"p_model": "model", "p_rep": "rep_forecast", "quarter": "period"})
