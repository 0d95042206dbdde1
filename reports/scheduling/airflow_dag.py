"""Mondays at 06:30: the export is looked at, then the notebook runs. Goes into Airflow's dags folder.

The worker needs forecasteval in its own Python, or a kernel of another one (`ipykernel install --name forecasteval`
there, `kernel_name="forecasteval"` here). The operator knows neither the age of the data nor the last report: the
first task does the one, and `forecasteval report` in a BashOperator does both, and writes the page as well.
"""

import os
import sys
from datetime import datetime
from pathlib import Path

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

PROJECT = Path(os.environ.get("FORECASTEVAL_PROJECT", "/srv/forecasteval"))
DATA = os.environ.get("FORECASTEVAL_DATA", f"{PROJECT}/data/acme")
OUT = PROJECT / "reports" / "airflow"
COMMAND = Path(sys.executable).with_name("forecasteval")

with DAG(
    dag_id="forecasts",
    schedule="30 6 * * 1",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 0},  # a second try on the same data fails in the same way
):
    fresh = BashOperator(
        task_id="fresh", bash_command=f"mkdir -p '{OUT}' && '{COMMAND}' check '{DATA}' --fresh"
    )
    compare = PapermillOperator(
        task_id="compare_forecasts",
        input_nb=f"{PROJECT}/notebooks/compare_forecasts.ipynb",
        output_nb=f"{OUT}/compare_forecasts_{{{{ ds }}}}.ipynb",
        parameters={"data": DATA, "as_of": "week 4"},  # a folder as a whole path: the worker runs elsewhere
    )
    fresh >> compare
