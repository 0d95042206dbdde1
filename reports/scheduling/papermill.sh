#!/bin/sh
# A notebook under plain papermill. What `forecasteval report` does beside running it is done here by hand: data that
# are too old are refused before anything runs, and the last good notebook stays until there is a new one.
set -eu
cd "${1:-/srv/forecasteval}"
data=${2:-data/acme}
out=reports/papermill
mkdir -p "$out"
.venv/bin/forecasteval check "$data" --fresh
.venv/bin/papermill --no-progress-bar notebooks/compare_forecasts.ipynb "$out/.running.ipynb" -p data "$data" -p as_of "week 4"
mv "$out/.running.ipynb" "$out/compare_forecasts.ipynb"
