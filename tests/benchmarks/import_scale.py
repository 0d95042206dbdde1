"""CPU seconds and peak memory of an import, and of a match after it: python tests/benchmarks/import_scale.py 300000.

The export is made once for each size, in the folder given as the second word (a temporary one otherwise); with `short` as the third
its ids have 15 characters. Making the export, import and match run in processes of their own, so that each peak is its own: a
process starts with the peak of the one that started it.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 10  # of history for each deal, on average
STAGES = ["Qualification", "Discovery", "Evaluation", "Proposal", "Negotiation", "Closed Won", "Closed Lost"]
PROBABILITY = np.array([10, 20, 40, 60, 80, 100, 0])
CATEGORY = ["Pipeline", "Pipeline", "BestCase", "BestCase", "Forecast", "Closed", "Omitted"]
FIRST, LAST = np.datetime64("2023-02-01T00:00:00"), np.datetime64("2026-03-20T00:00:00")
DAY = 86_400
WEEKS = [f"week {week}" for week in range(1, 13)]


def ids(prefix: str, numbers: np.ndarray, short: bool) -> np.ndarray:
    """Ids in the CRM's form: 15 characters, or 18 with the capitals of the 15 spelt out."""
    text = np.char.add(f"{prefix}5f0", np.char.zfill(numbers.astype(str), 9))
    return text if short else np.char.add(text, "AAC")


def write_export(folder: Path, deals: int, short: bool) -> None:
    """An organisation of so many deals: today's records, their full history, owner changes, stages and users."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    span = int((LAST - FIRST).astype(int))
    created = np.sort(rng.integers(0, span, deals))
    length = np.minimum(
        (rng.gamma(2.0, 30.0, deals) * DAY).astype(int), span - created
    )  # seconds until now or the close
    count = 1 + rng.poisson(ROWS - 1, deals)
    row = np.repeat(np.arange(deals), count)
    step = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    at = created[row] + (length[row] * step // np.maximum(count[row] - 1, 1))
    last = np.append(row[1:] != row[:-1], True)
    closed = created + length < span
    won = closed & (rng.random(deals) < 0.3)
    stage = np.minimum(step * 5 // count[row], 4)
    stage[last & closed[row]] = np.where(won, 5, 6)[row[last & closed[row]]]
    amount = np.round(np.exp(rng.normal(10, 1, deals))[row] * rng.choice([0.8, 0.9, 1.0, 1.0, 1.1], len(row)))
    close_on = (FIRST + created[row] + length[row]).astype("datetime64[D]") + rng.integers(-20, 60, len(row))
    final = (FIRST + created + length).astype("datetime64[D]")
    close_on = np.where(last, final[row], close_on)
    owner = ids("005", rng.integers(0, 200, deals), short)
    names = ids("006", np.arange(deals), short)
    stamp = np.char.add(np.datetime_as_string(FIRST + at, "s"), ".000Z")
    labels, categories = np.array(STAGES), np.array(CATEGORY)
    history = pd.DataFrame(
        {
            "Id": ids("008", np.arange(len(row)), short), "OpportunityId": names[row], "StageName": labels[stage],
            "Amount": amount, "CloseDate": close_on, "Probability": PROBABILITY[stage],
            "ForecastCategory": categories[stage], "CreatedDate": stamp,
        }
    )  # fmt: skip
    order = np.argsort(at, kind="stable")
    history.iloc[order].to_csv(folder / "OpportunityHistory.csv", index=False)
    end = history[last]
    pd.DataFrame(
        {
            "Id": names, "IsDeleted": "false", "AccountId": ids("001", rng.integers(0, deals // 3 + 1, deals), short),
            "StageName": end["StageName"], "Amount": end["Amount"], "Probability": end["Probability"],
            "CloseDate": end["CloseDate"], "IsClosed": np.where(closed, "true", "false"),
            "IsWon": np.where(won, "true", "false"), "ForecastCategory": end["ForecastCategory"], "OwnerId": owner,
            "CreatedDate": np.char.add(np.datetime_as_string(FIRST + created, "s"), ".000Z"),
            "Region__c": rng.choice(["East", "Central", "West"], deals),
        }
    ).to_csv(folder / "Opportunity.csv", index=False)  # fmt: skip
    moved = np.flatnonzero(rng.random(deals) < 0.1)
    pd.DataFrame(
        {
            "Id": ids("017", np.arange(len(moved)), short), "OpportunityId": names[moved], "Field": "Owner",
            "OldValue": ids("005", rng.integers(0, 200, len(moved)), short), "NewValue": owner[moved],
            "CreatedDate": np.char.add(np.datetime_as_string(FIRST + created[moved] + length[moved] // 2, "s"), ".000Z"),
        }
    ).to_csv(folder / "OpportunityFieldHistory.csv", index=False)  # fmt: skip
    pd.DataFrame(
        {
            "MasterLabel": STAGES, "IsClosed": PROBABILITY % 100 == 0, "IsWon": PROBABILITY == 100,
            "DefaultProbability": PROBABILITY, "ForecastCategory": CATEGORY,
        }
    ).to_csv(folder / "OpportunityStage.csv", index=False)  # fmt: skip
    (folder / "organisation.yaml").write_text("max_age_days: 0\nfiscal_year_start_month: 2\n")


def run(job: str, place: Path) -> None:
    """One job in this process: what it took."""
    from forecasteval import read
    from forecasteval.cli import main
    from forecasteval.matching.match import Panel

    start, wall = time.process_time(), time.perf_counter()
    if job == "write":
        write_export(place / "export", int(place.name.removesuffix("short")), place.name.endswith("short"))
    elif job == "import":
        main(["import", "salesforce", str(place / "export"), "--out", str(place / "data")])
    else:
        org = read(place / "data")
        start, wall = time.process_time(), time.perf_counter()
        panel = Panel(org, as_of=WEEKS)
        for week in WEEKS:
            panel.view(("model", "rep_forecast", "rep_recalibrated", "stage_rate"), week)
    used, took = time.process_time() - start, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{job:<8} {used:6.1f} CPU s, {took:6.1f} s, peak {peak:5.2f} GB")


def main() -> None:
    """Make the export if it is not there, then run both jobs."""
    deals = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    short = "short" in sys.argv
    base = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp())
    place = base / f"{deals}{'short' if short else ''}"
    jobs = ("import", "match") if (place / "export").exists() else ("write", "import", "match")
    for job in jobs:
        subprocess.run([sys.executable, __file__, "--job", job, str(place)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        run(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
