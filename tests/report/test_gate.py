import pytest

from forecasteval.errors import CallError
from forecasteval.report.gate import Condition, primary_row

ROW = {
    "primary": True,
    "verdict": "baseline better",
    "reliable": True,
    "difference": 0.02,
    "low": 0.01,
    "high": None,
    "p_value": 0.004,
}
RESULTS = {"status": "done", "data_problems": 3, "comparisons": [{"primary": False, "low": -9}, ROW]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("verdict == 'baseline better'", True),
        ('verdict=="baseline better"', True),
        ("verdict == baseline better", True),
        ("verdict != baseline better", False),
        ("verdict == 'not enough evidence'", False),
        ("reliable == true", True),
        ("reliable == False", False),
        ("reliable != 'false'", True),
        ("low > 0", True),
        (" low>0 ", True),
        ("low >= .01", True),
        ("low < 1e-2", False),
        ("low <= '0.01'", True),
        ("p_value<0.05", True),
        ("difference == 0.02", True),
        ("high > 0", None),
        ("high != 0", None),
        ("data_problems > 2", True),
        ("status == done", True),
        ("status == 'cannot be compared'", False),
    ],
)
def test_conditions_are_read_and_judged(text, expected):
    assert Condition.read(text).true_of(RESULTS) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a condition"),
        ("low", "is not a condition"),
        ("low = 0", "is not a condition"),
        ("low >", "is not a condition"),
        ("0 < low", "there is no key '0'"),
        ("low > 0 or high < 0", "is not a condition"),
        ("low > 'nothing", "is not a condition"),
        ("lo > 0", r"Did you mean low\?"),
        ("low > high", "'high' is not a number"),
        ("low > nan", "is not a number"),
        ("low > inf", "is not a number"),
        ("low > 1_0", "is not a number"),
        ("verdict > 'a'", "only == and !="),
        ("verdict == 'baseline beter'", r"Did you mean baseline better\?"),
        ("reliable == 1", "reliable is never '1'"),
        ("status == ok", "It can be 'done', 'cannot be compared', 'failed'"),
        ("__import__('os').system('x') == 0", "is not a condition"),
        ("low.__class__ == 0", "there is no key"),
    ],
)
def test_a_wrong_condition_says_what_could_stand_there(text, message):
    with pytest.raises(CallError, match=message):
        Condition.read(text)


def test_a_condition_on_what_a_report_does_not_have_is_refused_rather_than_never_true():
    with pytest.raises(CallError, match="this report has no comparison"):
        Condition.read("low > 0").true_of({"status": "done"})
    assert Condition.read("data_problems > 0").true_of({"data_problems": 0}) is False


def test_the_primary_row_of_a_learning_curve_is_that_of_its_largest_size():
    assert primary_row({"comparisons": [{"primary": True, "n": 1}, {"primary": True, "n": 2}]})["n"] == 2
    assert primary_row({}) is None
