"""How often honest forecasters are accused of hindsight, and leaks found: python tests/benchmarks/hindsight_alarms.py [runs].

Honest ones know the chance of each deal at best, or a blurred sign of the outcome as good as the best on record. Leaks
are forecasts that saw the outcome. Shares are of tables, with the Monte Carlo error of each.
"""

import sys
from collections.abc import Callable

import numpy as np
from scipy.special import ndtri
from scipy.stats import t as student

from forecasteval.compare.hindsight import knew

Made = tuple[np.ndarray, np.ndarray]
SIZES, WINS = (12, 20, 40, 80, 150, 300, 1000), (0.05, 0.25, 0.5)


def drawn(rng: np.random.Generator, n: int, wins: float) -> np.ndarray:
    """Outcomes."""
    return (rng.random(n) < wins).astype(float)


def sign(auc: float, heavy: bool = False) -> Callable[..., Made]:
    """A sign of the outcome that ranks with this AUC, its errors normal or of Student's t(3)."""

    def make(rng: np.random.Generator, n: int, wins: float) -> Made:
        won = drawn(rng, n, wins)
        if heavy:
            return student.rvs(3, size=n, random_state=rng) + 3.4 * won, won
        return rng.normal(size=n) + np.sqrt(2) * ndtri(auc) * won, won

    return make


def yes_no(right: float) -> Callable[..., Made]:
    """Yes or no, right for this share of the deals."""

    def make(rng: np.random.Generator, n: int, wins: float) -> Made:
        won = drawn(rng, n, wins)
        return np.where(rng.random(n) < right, won, 1 - won), won

    return make


def chances(spread: float, shrunk: float = 1.0) -> Callable[..., Made]:
    """The exact chance of each deal, from a beta distribution whose mean is the share of wins; or drawn to the middle."""

    def make(rng: np.random.Generator, n: int, wins: float) -> Made:
        p = rng.beta(wins * spread, (1 - wins) * spread, n)
        return 0.5 + shrunk * (p - 0.5), (rng.random(n) < p).astype(float)

    return make


def categories(rng: np.random.Generator, n: int, wins: float) -> Made:
    """Five categories with the chances of a pipeline."""
    p = rng.choice(
        [0.02, 0.1, 0.3, 0.7, 0.95], n, p=[0.5 - wins / 2, 0.5 - wins / 2, wins / 3, wins / 3, wins / 3]
    )
    return p, (rng.random(n) < p).astype(float)


def skilled(rng: np.random.Generator, n: int, wins: float) -> Made:
    """Reps of differing skill, one in four of whom ranks with an AUC of .98."""
    won, rep = drawn(rng, n, wins), rng.integers(0, 8, n)
    return rng.normal(size=n) + np.where(rep < 2, 2.9, 1.5) * won, won


HONEST = {
    "yes or no, 80% right": yes_no(0.8),
    "yes or no, 90% right": yes_no(0.9),
    "AUC .90": sign(0.9),
    "AUC .97": sign(0.97),
    "heavy tails, AUC .97": sign(0.97, heavy=True),
    "exact chances, spread .5": chances(0.5),
    "exact chances, drawn to the middle": chances(0.5, shrunk=0.2),
    "exact chances, spread 2": chances(2.0),
    "categories": categories,
    "reps of differing skill": skilled,
}


def equal(rng: np.random.Generator, n: int, wins: float) -> Made:
    """The outcome itself."""
    won = drawn(rng, n, wins)
    return won, won


def apart(rng: np.random.Generator, n: int, wins: float) -> Made:
    """Always on the right side of .5, by little or by much."""
    won = drawn(rng, n, wins)
    return 0.5 + (won - 0.5) * rng.uniform(0.1, 1, n), won


def slips(share: float) -> Callable[..., Made]:
    """The outcome seen, but for some deals that got a fair score."""

    def make(rng: np.random.Generator, n: int, wins: float) -> Made:
        said, won = apart(rng, n, wins)
        return np.where(rng.random(n) < share, rng.random(n), said), won

    return make


LEAKS = {
    "the outcome itself": equal,
    "on the right side always": apart,
    "1% of the deals not seen": slips(0.01),
    "3% not seen": slips(0.03),
}


def rate(make: Callable[..., Made], n: int, wins: float, runs: int, days: float | None = None) -> float:
    """Share of tables of which the forecast is called hindsight."""
    rng = np.random.default_rng([n, int(100 * wins)])
    return sum(bool(knew("x", *make(rng, n, wins), days=days)) for _ in range(runs)) / runs


def table(kinds: dict[str, Callable[..., Made]], runs: int, days: float | None = None) -> None:
    """One line for each kind and share of wins."""
    print(f"{'':38}{'won':>5}" + "".join(f"{n:>8,}" for n in SIZES))
    for name, make in kinds.items():
        for wins in WINS:
            rates = [rate(make, n, wins, runs, days) for n in SIZES]
            print(f"{name:38}{wins:>5.0%}" + "".join(f"{r:>8.2%}" for r in rates), flush=True)


if __name__ == "__main__":
    RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    print(f"Honest, accused (Monte Carlo error {np.sqrt(0.01 / RUNS):.2%} at 1%):")
    table(HONEST, RUNS)
    print(f"\nLeaks, found (Monte Carlo error at most {np.sqrt(0.25 / (RUNS // 8)):.1%}):")
    table(LEAKS, RUNS // 8)
    print("\nLeaks of forecasts made nine weeks ahead, found:")
    table(LEAKS, RUNS // 8, days=63)
