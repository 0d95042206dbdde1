"""Decisions of people: read from the list that was handed out, kept once, and judged when the deals have ended."""

import pandas as pd
import pytest

from forecasteval.compare.disagreement import open_disagreements
from forecasteval.compare.overrides import decisions, not_yet_kept, which_paid
from forecasteval.errors import InputError
from forecasteval.tables import ledger


@pytest.fixture
def listed():
    deals = pd.DataFrame(
        {
            "deal_id": ["a", "b", "c", "d"], "period": "2026-Q1", "as_of": pd.Timestamp("2026-02-28"), "rep": list("xxyy"),
            "won": [None] * 4, "amount": [4e4, 3e4, 2e4, None], "model": [0.2, 0.1, 0.3, 0.2],
            "rep_forecast": [0.8, 0.9, 0.7, 0.9],
        }
    )  # fmt: skip
    return open_disagreements(deals, "model", "rep_forecast")


def filled(tmp_path, listed, **cells):
    """The list as a person hands it back: deal -> (believed, reason)."""
    table = listed.set_index("deal_id")
    for deal, (believed, reason) in cells.items():
        table.loc[deal, ["believed", "reason"]] = believed, reason
    path = tmp_path / "filled.csv"
    table.to_csv(path)
    return path


def test_from_the_list_to_which_paid(tmp_path, listed):
    path = filled(
        tmp_path, listed, a=("rep_forecast", "signed"), b=("65%", "met the buyer"), c=("model", "no news")
    )
    book = ledger.read(tmp_path / "decisions.jsonl")
    entries = decisions(path, "model", "rep_forecast", listed)
    assert [(e["deal_id"], e["probability"]) for e in entries] == [("a", 0.8), ("b", 0.65), ("c", 0.3)]
    book = ledger.append(book, not_yet_kept(book, entries))
    assert not_yet_kept(book, entries) == []  # handed in twice, kept once
    ended = pd.DataFrame({"deal_id": ["a", "b"], "period": "2026-Q1", "won": [1, 0]})
    paid = which_paid(ledger.read(book.path), ended, "model")
    by = paid.table.set_index("reason")
    assert by.loc["signed", ["decisions", "known", "paid"]].tolist() == [1, 1, 1]
    assert by.loc["signed", "gain"] == pytest.approx(0.8**2 - 0.2**2)
    assert by.loc["met the buyer", "gain"] == pytest.approx(0.1**2 - 0.65**2)
    assert "no news" not in by.index  # whoever believes the model sets nothing aside
    assert paid.comparison.primary["deals"] == 2


def test_a_deal_still_open_is_not_judged(tmp_path, listed):
    path = filled(tmp_path, listed, a=("0.9", "signed"))
    book = ledger.read(tmp_path / "decisions.jsonl")
    book = ledger.append(book, decisions(path, "model", "rep_forecast", listed))
    paid = which_paid(book, pd.DataFrame(columns=["deal_id", "period", "won"]), "model")
    assert paid.table[["decisions", "known", "paid"]].to_numpy().tolist() == [[1, 0, 0]]
    assert paid.comparison is None


def test_everything_that_is_wrong_with_the_list_is_said_at_once(tmp_path, listed):
    path = filled(tmp_path, listed, a=("maybe", "signed"), b=("1.4", "sure"), c=("model", ""))
    gone = pd.read_csv(path, dtype=str)
    gone.loc[len(gone)] = gone.iloc[0].where(gone.columns != "deal_id", "zz")
    gone.to_csv(path, index=False)
    with pytest.raises(InputError) as error:
        decisions(path, "model", "rep_forecast", listed)
    found = {(p.row, p.column) for p in error.value.problems}
    rows = {deal: i for i, deal in enumerate(gone["deal_id"], start=2)}
    assert found == {
        (rows["a"], "believed"),
        (rows["b"], "believed"),
        (rows["c"], "reason"),
        (rows["zz"], "deal_id"),
    }
    assert "found 'maybe'; expected model, rep_forecast, or a probability such as 0.65" in str(error.value)
    with pytest.raises(InputError, match="no such file"):
        decisions(tmp_path / "none.csv", "model", "rep_forecast", listed)
