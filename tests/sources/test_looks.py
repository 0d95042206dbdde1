"""Tables that follow deals day by day: the closing rows are outcomes, those before are forecasts."""

import numpy as np
import pandas as pd
import pytest
from cases import CASES

import forecasteval as fe
from forecasteval.errors import InputError
from forecasteval.sources.flat_table import import_table, shortcomings
from forecasteval.tables.organisation import Org

MAPPING = {
    "deal_id": "deal", "as_of": "day", "closed_on": None, "rep": "owner",
    "won": {"column": "stage", "won": ["Won"], "lost": ["Lost"], "undecided": ["Open", "Talks"]},
    "forecasts": {"probability": {"column": "probability", "scale": 100}, "vendor": "vendor"},
}  # fmt: skip


def history(deals=60, seed=0):
    """Three to six weekly rows of each deal; the last one has the outcome, and a probability of 0 or 100."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(deals):
        chance, start = rng.beta(2, 2), pd.Timestamp("2026-01-05") + pd.Timedelta(days=int(rng.integers(60)))
        looks, won = int(rng.integers(3, 7)), rng.random() < chance
        for k in range(looks):
            last = k == looks - 1
            stage = ("Won" if won else "Lost") if last else rng.choice(["Open", "Talks"])
            said = (100 if won else 0) if last else int(rng.choice([20, 50, 80]))
            day = start + pd.Timedelta(days=7 * k)
            rows.append([f"D{i}", f"{day:%Y-%m-%d}", f"r{i % 6}", stage, said, round(chance, 3)])
    return pd.DataFrame(rows, columns=["deal", "day", "owner", "stage", "probability", "vendor"])


def imported(table, tmp_path, **mapping):
    table.to_csv(tmp_path / "t.csv", index=False)
    return import_table(tmp_path / "t.csv", {k: v for k, v in (MAPPING | mapping).items() if v is not None})


def test_the_rows_before_the_close_get_the_outcome_that_came(tmp_path):
    table = history()
    matched = imported(table, tmp_path)
    ends = table.groupby("deal").tail(1).set_index("deal")["stage"].eq("Won").astype(int)
    assert len(matched) == len(table) - 60
    assert matched["won"].tolist() == matched["deal_id"].map(ends).tolist()
    assert matched["probability"].between(0.2, 0.8).all()
    about = matched.attrs["forecasteval"]
    step = next(s for s in about["flow"] if s["step"] == "before the close")
    assert (step["dropped"], step["deals"]) == (60, len(table) - 60)
    assert any("follows each deal until it closes" in note for note in about["notes"])


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    one, other = imported(history(), tmp_path), imported(history().sample(frac=1, random_state=1), tmp_path)
    key = ["deal_id", "as_of"]
    pd.testing.assert_frame_equal(
        one.sort_values(key, ignore_index=True), other.sort_values(key, ignore_index=True), check_like=True
    )


def test_days_after_the_close_are_left_out_and_reopened_deals_have_no_outcome_yet(tmp_path):
    table = history()
    close = table.groupby("deal").tail(1)
    after = close.assign(day=(pd.to_datetime(close["day"]) + pd.Timedelta(days=7)).dt.strftime("%Y-%m-%d"))
    after.loc[after["deal"] == "D0", "stage"] = "Open"
    matched = imported(pd.concat([table, after]), tmp_path)
    plain = imported(table, tmp_path)
    assert "D0" not in set(matched["deal_id"])
    assert len(matched) == (plain["deal_id"] != "D0").sum()


def test_what_was_booked_is_known_to_the_last_row_only(tmp_path):
    table = history().assign(booked=lambda t: np.where(t["stage"] == "Won", 500, 0))
    matched = imported(table, tmp_path, amount_won="booked")
    assert (matched["amount_won"] == 500 * matched["won"]).all()


def test_a_history_whose_open_deals_count_as_lost_is_refused_with_the_way_to_do_it(tmp_path):
    table = history().assign(stage=lambda t: t["stage"].replace({"Open": "Lost", "Talks": "Lost"}))
    with pytest.raises(InputError, match="won in their last row and lost in every row before"):
        imported(table, tmp_path)


def test_a_table_whose_target_changes_from_period_to_period_is_no_such_history(tmp_path):
    """A deal that slips counts as lost in one quarter and is won in the next."""
    table = pd.DataFrame(
        {
            "deal": np.repeat([f"D{i}" for i in range(30)], 2),
            "day": ["2026-01-31", "2026-04-30"] * 30,
            "owner": "r1",
            "stage": ["Lost", "Won"] * 30,
            "probability": 50,
            "vendor": 0.4,
        }
    )
    assert len(imported(table, tmp_path)) == 60


def test_a_few_undecided_rows_make_no_history(tmp_path):
    table = history().groupby("deal").tail(1)
    again = table.head(4).assign(day="2025-12-01", stage="Open")
    assert len(imported(pd.concat([again, table]), tmp_path)) == len(table)


def test_rows_from_the_day_of_the_close_on_are_left_out(tmp_path):
    table = history().groupby("deal").tail(1).assign(closed="2026-03-01")
    late = (table["day"] >= "2026-03-01").sum()
    matched = imported(table, tmp_path, closed_on="closed")
    assert 0 < late < 60
    assert len(matched) == 60 - late
    assert "closed_on" not in matched


# --- features and forecasts -----------------------------------------------------------------------------


def test_features_that_give_the_outcome_away_are_refused_by_name(tmp_path):
    table = history(200).groupby("deal").head(1).merge(
        history(200).groupby("deal").tail(1)[["deal", "stage"]], on="deal", suffixes=("_then", "")
    )  # fmt: skip
    table["iswon"] = table["stage"].eq("Won").astype(int)
    table["lost_reason"] = np.where(table["stage"] == "Lost", "price", "")
    table["size"] = np.arange(200) % 7
    leaks = ["iswon", "lost_reason"]
    with pytest.raises(InputError) as refused:
        imported(table, tmp_path, features=[*leaks, "size", "stage_then"])
    assert [p.found.split(",")[0] for p in refused.value.problems] == leaks
    assert len(imported(table, tmp_path, features=["size", "stage_then"])) == 200


def test_the_outcome_is_no_forecast_and_a_copy_of_it_is_warned_of(tmp_path):
    table = history().groupby("deal").tail(1).assign(flag=lambda t: t["stage"].eq("Won").astype(int))
    with pytest.raises(InputError, match="which is the outcome"):
        imported(table.assign(stage=table["flag"]), tmp_path, won={"column": "stage", "won": [1], "lost": [0]},
                 forecasts={"x": "stage"})  # fmt: skip
    (warning,) = shortcomings(imported(table, tmp_path, forecasts={"flag": "flag", "vendor": "vendor"}))
    assert warning.found == "flag, which equals the outcome on all 60 deals"


def test_a_model_is_not_fitted_to_what_gives_the_outcome_away(tmp_path):
    matched = imported(history().groupby("deal").tail(1).assign(size=1), tmp_path, features=["size"])
    matched["size"] = matched["won"]
    org = Org(name="t", folder=tmp_path, matched=matched)
    with pytest.raises(ValueError, match="size equals the outcome"):
        fe.match(org, forecasters=["model", "base_rate"])


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside the checkout")
def test_the_public_kind_of_daily_table_is_judged_by_its_open_days():
    case = CASES / "hindsight_probability"
    matched = import_table(case / "daily_history.csv", case / "mapping.yaml")
    row = fe.compare(matched, "probability", "vendor").primary
    assert (row["deals"], row["rows"], row["verdict"]) == (80, 160, "baseline better")
    by_stage = {p: ((m["probability"] - m["won"]) ** 2).mean() for p, m in matched.groupby("probability")}
    assert by_stage == pytest.approx({0.5: 0.25, 0.8: 0.3475})
    assert row["baseline_value"] == pytest.approx(0.1812, abs=1e-4)
