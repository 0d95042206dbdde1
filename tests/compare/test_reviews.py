"""What people's reviews were worth, against known answers and the truth that was planted in the demo."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import forecasteval as fe
from forecasteval.compare.reviews import read_reviews, reviewed
from forecasteval.errors import CallError, InputError
from forecasteval.inference.statistic import difference_over_clusters

DEMO = Path(__file__).parents[2] / "data" / "demo" / "leads"


@pytest.fixture(scope="module")
def found():
    return reviewed(read_reviews(DEMO / "reviews.csv"), fe.read(DEMO).matched)


def test_equal_clusters_give_the_paired_t_test():
    x1, x0 = np.array([3.0, 4, 5, 4, 6, 2]), np.array([1.0, 4, 1, 2, 3, 2])
    e = difference_over_clusters((x1, np.full(6, 10)), (x0, np.full(6, 10)))
    t = stats.ttest_rel(x1 / 10, x0 / 10)
    low, high = t.confidence_interval()
    assert (e.value, e.low, e.high, e.p_value) == pytest.approx((np.mean(x1 - x0) / 10, low, high, t.pvalue))


def test_swapping_the_groups_turns_the_sign_and_empty_clusters_are_no_news():
    rng = np.random.default_rng(0)
    n1, n0 = rng.integers(3, 40, (2, 8)).astype(float)
    one, other = (rng.binomial(n1.astype(int), 0.4), n1), (rng.binomial(n0.astype(int), 0.2), n0)
    e, turned = difference_over_clusters(one, other), difference_over_clusters(other, one)
    assert (turned.value, turned.low, turned.high) == pytest.approx((-e.value, -e.high, -e.low))
    lonely = difference_over_clusters(([3], [5]), ([1, 2], [4, 4]))
    assert not lonely.has_interval


def test_who_spoke_to_the_lead_knew_more_and_a_gut_feeling_less(found):
    verdicts = found.by_reason.table.set_index("segment")["verdict"]
    assert verdicts.to_dict() == {"gut feeling": "baseline better", "spoke to them": "candidate better"}
    assert found.counts["changed"] < found.counts["known"] < found.counts["reviews"]
    assert "people" in found.changed.headline


def test_suggestions_that_were_taken_do_better_though_they_did_nothing(found):
    """Nothing hangs on acceptance in the demo: what is found is selection, and the docstring says so."""
    assert found.difference.low > 0
    assert "**Selection.**" in reviewed.__doc__


def test_few_people_give_shares_without_intervals():
    log = pd.DataFrame(
        {"deal_id": list("abcd"), "person": list("xxyy"), "accepted": [True, False, True, False]}
    )
    won = pd.DataFrame({"deal_id": list("abc"), "won": [1, 0, 0]})
    found = reviewed(log, won)
    assert (found.accepted.value, found.turned_down.value) == (0.5, 0)
    assert not found.difference.has_interval
    assert "at least 5" in found.difference.reasons[0]["text"]
    assert found.changed is None


def test_a_log_that_cannot_be_used_is_refused_with_all_that_is_wrong(tmp_path):
    with pytest.raises(CallError, match="no column machine_said and person_said, nor accepted"):
        reviewed(
            pd.DataFrame({"deal_id": ["a"], "person": ["x"]}), pd.DataFrame({"deal_id": ["a"], "won": [1]})
        )
    path = tmp_path / "reviews.csv"
    path.write_text("lead_id,person,machine_said,person_said,accepted\nL1,,0.2,25,perhaps\n")
    with pytest.raises(InputError) as refused:
        read_reviews(path)
    told = str(refused.value)
    for column in ("person", "person_said", "accepted"):
        assert f"reviews.csv, row 2, column {column}" in told
