"""Words and pictures: they say what the numbers say, and text from data stays text."""

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.compare import wording
from forecasteval.matching.matched import META
from forecasteval.report.figures import Absent, axis_label
from forecasteval.studies.compare_forecasts import _figures as figures
from forecasteval.tables.organisation import Org

HOSTILE = "<script>alert('x')</script> $x^2$ _y" + "z" * 5000


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    n = 1200
    truth = rng.beta(1.2, 2.8, n)
    frame = pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(n)],
            "period": [f"P{i % 6}" for i in range(n)],
            "rep": [f"r{i % 10}" for i in range(n)],
            "week": [i // 60 % 3 + 1 for i in range(n)],
            "won": (rng.random(n) < truth).astype(int),
            "amount": 1.0,
            "model": truth.clip(0.01, 0.99),
            "rep_forecast": (truth + 0.25).clip(0.05, 0.95).round(1),
        }
    )
    frame.attrs[META] = {
        "forecasters": {n: {"kind": "probability", "gloss": HOSTILE} for n in ("model", "rep_forecast")},
        "nouns": {"period": "quarters"},
    }
    return frame


def asked(table, *names, **options):
    """The answer to a question about a table that came matched."""
    return fe.Question(*names, **options).run(Org("acme", None, matched=table))


def test_titles_say_who_is_ahead(table):
    rungs = fe.ladder(table, "model", "rep_forecast", metrics=["brier"])
    assert figures.ladder(rungs).alt.startswith("model is ahead even for new reps and new quarters")
    weeks = fe.by_group(table, "week", "model", "rep_forecast", metrics=["brier"])
    assert figures.by_week(weeks).alt.startswith("model is ahead in weeks 1–3.")
    back = fe.ladder(table, "rep_forecast", "model", metrics=["brier"])
    assert figures.ladder(back).alt.startswith("model is ahead")


def test_direction_on_the_axis_follows_the_metric(table):
    lower = fe.compare(table, "model", "rep_forecast", metrics=["brier"])
    higher = fe.compare(table, "model", "rep_forecast", metrics=["auc"])
    assert "← model better" in axis_label(lower)
    assert "model better →" in axis_label(higher)


def test_hostile_names_neither_run_nor_blow_up_a_picture(table):
    evil = table.rename(columns={"model": HOSTILE}).assign(rep=lambda t: t["rep"] + HOSTILE)
    evil.attrs[META]["forecasters"] = {
        HOSTILE: {"kind": "probability"},
        "rep_forecast": {"kind": "probability"},
    }
    c = fe.compare(evil, HOSTILE, "rep_forecast")
    influence = fe.influence(evil, HOSTILE, "rep_forecast", show_names=True)
    others = fe.against(evil, [HOSTILE], "rep_forecast", metrics=["brier"])
    for picture in (figures.forest(others), figures.few(influence, c, "rep"), figures.flow(c.flow)):
        width, height = np.frombuffer(picture.png()[16:24], dtype=">u4")
        assert width < 1500
        assert height < 3000
    a = asked(evil, HOSTILE, "rep_forecast", show_names=True)
    for section in (a.verdict, a.scores, a.deals, a.others, a.who):
        assert "<script" not in section.words().html


def test_where_there_is_nothing_to_draw_the_reason_stands(table):
    nothing = fe.compare(table.drop(columns="model"), "model", "rep_forecast")
    for absent in (
        figures.ladder([nothing]),
        figures.forest({"model": nothing}),
        figures.by_week({}),
        figures.reliability({}, {}),
        figures.few(None, nothing, "rep"),
    ):
        assert isinstance(absent, Absent)
        assert absent.why.endswith(".")


def test_the_card_says_what_could_be_told_with_the_right_arithmetic(table):
    from scipy import stats

    c = fe.compare(table, "model", "rep_forecast", metrics=["brier"])
    row = c.primary
    least = (row["high"] - row["low"]) / 2 + stats.t.ppf(0.8, row["df"]) * row["se"]
    said = wording.number(least, wording.decimals(row["low"], row["high"]))
    told = asked(table, "model", "rep_forecast", metrics=["brier"]).verdict.words().text
    assert f"a true difference in Brier score of {said} would be found four times in five." in told


def test_verdict_words_name_the_forecasters(table):
    rows = asked(table, "rep_forecast", "model").scores.words().text
    assert "model better" in rows
    assert "described, no verdict" in rows
    assert "candidate" not in rows


def test_pseudonyms_number_reps_by_their_deals(table):
    uneven = pd.concat([table, table[table["rep"] == "r7"].assign(deal_id=lambda t: t["deal_id"] + "b")])
    found = fe.influence(uneven, "model", "rep_forecast")
    assert found["name"][0] == "rep 1"
    assert fe.influence(uneven, "model", "rep_forecast", show_names=True)["name"][0] == "r7"


@pytest.mark.parametrize(
    ("low", "high", "places"),
    [(0.009, 0.033, 3), (-0.4, 0.9, 2), (0.01, 0.02, 3), (1e-5, 3e-5, 6), (np.nan, np.nan, 3)],
)
def test_no_more_digits_than_the_interval_supports(low, high, places):
    assert wording.decimals(low, high) == places


def test_every_caveat_stands_on_the_first_screen_or_below(table):
    """Sixteen periods raise one caveat about the headline; the one about the other intervals comes second."""
    periods = [f"{2010 + i % 16 // 4}-Q{i % 4 + 1}" for i in range(len(table))]
    many = table.drop(columns="week").assign(period=periods, third=table["model"] ** 0.9)
    many.attrs.clear()
    a = asked(many, "model", "rep_forecast", metrics=["brier"])
    assert len(a.verdict.care) == 1
    below = a.caveats.words().text
    assert below.startswith("Beside the one on the first screen")
    assert "Only the headline is a verdict fixed beforehand" in below
