"""What is called accuracy in the trade, and how far a perfect forecast misses."""

import numpy as np
import pytest

from forecasteval.scores.amounts import accuracies, error_floor

# the table of the field: one miss under seven definitions
FIELD = {
    (120, 100): [0.80, 0.80, 0.833, 0.833, 1.20, 0.80, 0.833],
    (80, 100): [0.80, 0.80, 0.75, 1.25, 0.80, 1.20, 0.80],
    (250, 100): [-0.50, 0, 0.40, 0.40, 2.50, -0.50, 0.40],
}


@pytest.mark.parametrize("pair", FIELD)
def test_one_miss_under_seven_definitions(pair):
    assert [float(v[0]) for v in accuracies(*pair).values()] == pytest.approx(FIELD[pair], abs=5e-4)


def test_a_definition_that_divides_by_nothing_says_nothing():
    found = accuracies([0.0], [100.0])
    assert np.isnan(found["miss_over_forecast"][0])
    assert found["forecast_over_actual"][0] == 0


# mean absolute percentage error and the chance to land within 5%, without and with 60% already booked
FLOORS = [
    (100, 0.0, (0.127, 0.25), (0.049, 0.55)),
    (100, 1.0, (0.215, 0.16), (0.078, 0.40)),
    (400, 1.0, (0.101, 0.31), (0.040, 0.69)),
]


@pytest.mark.parametrize(("deals", "sigma", "bare", "booked"), FLOORS)
def test_floors_of_the_field_by_simulation(deals, sigma, bare, booked):
    """The field's figures by simulation; the formula agrees as well as a normal sum can."""
    rng = np.random.default_rng(1)
    amount = rng.lognormal(0, sigma, (4000, deals)) if sigma else np.ones((4000, deals))
    won = (amount * (rng.random((4000, deals)) < 0.3)).sum(axis=1)
    expected = 0.3 * amount.sum(axis=1)
    for closed, (error, within) in ((0.0, bare), (1.5 * expected, booked)):
        actual = won + closed
        miss = np.abs(expected + closed - actual)
        assert (miss / actual).mean() == pytest.approx(error, abs=0.008)
        assert (miss <= 0.05 * actual).mean() == pytest.approx(within, abs=0.03)
        floors = [error_floor(np.full(deals, 0.3), a, c)
                  for a, c in zip(amount[:300], np.broadcast_to(closed, 4000)[:300], strict=True)]  # fmt: skip
        assert np.mean([f["error"] for f in floors]) == pytest.approx(error, rel=0.1)
        assert np.mean([f["within_5"] for f in floors]) == pytest.approx(
            within, abs=0.05
        )  # equal deals sum to few values


def test_a_floor_needs_probabilities():
    with pytest.raises(ValueError, match="1 of 2 probabilities"):
        error_floor([0.3, 30], [1, 1])
