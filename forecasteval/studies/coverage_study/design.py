"""The cells of the coverage study: a declared fraction of all that pilots can differ in.

Every family varies what it is named after and holds the rest at a plain value; the crossings that are known to be
hard (uneven reps with large or skewed biases, rare wins with few reps) are in it on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from forecasteval.errors import CallError

DEAL, REP, PERIOD = ("deal",), ("rep",), ("period",)
SAME_REPS, BOTH, ACCOUNT = ("deal", "period"), ("rep", "period"), ("account",)
SCORES = ("brier", "log_score", "brier_skill", "brier_by_amount", "bias", "auc")


@dataclass(frozen=True)
class Cell:
    """One kind of pilot.

    Attributes
    ----------
    name, family : str
    reps, periods, deals : int
    size_sd : float
        Standard deviation of the logarithm of the reps' numbers of deals; 0 for equal ones.
    wins : float
        Win rate at the typical deal, before deals differ.
    bias_sd : float
        Standard deviation of the reps' bias, in log-odds.
    bias : "normal", "exponential" or "few"
        Its law; "few" is one rep in ten far off.
    shock_sd : float
        Standard deviation of what a period does to the reps' optimism, in log-odds.
    amount_sd : float
        Standard deviation of the logarithm of the amounts.
    per_account : float
        Deals of an account, on average; 0 without accounts.
    account_sd : float
        Standard deviation of the reps' error about an account, in log-odds.
    looks : int
        In how many weeks each deal is seen.
    null : bool
        Is the candidate as good as the baseline, with biases and shocks of its own?
    metrics : tuple of str
    questions : tuple of tuples of str
        What may be different next time.
    """

    name: str
    family: str
    reps: int
    deals: int
    periods: int = 4
    size_sd: float = 0.8
    wins: float = 0.25
    bias_sd: float = 0.3
    bias: str = "normal"
    shock_sd: float = 0.0
    amount_sd: float = 1.0
    per_account: float = 0.0
    account_sd: float = 0.0
    looks: int = 1
    null: bool = False
    metrics: tuple[str, ...] = SCORES
    questions: tuple[tuple[str, ...], ...] = (DEAL, REP)


@dataclass(frozen=True)
class Drawn:
    """Pilots drawn from a real table: its clusters, each as often as chance will, stand for new reps.

    Attributes
    ----------
    name, file, candidate, baseline, cluster : str
        A CSV or Parquet file with `won`, two forecasters and the column whose values are drawn.
    reps : int
        How many clusters a pilot draws.
    """

    name: str
    file: str
    candidate: str
    baseline: str
    cluster: str
    reps: int
    family: str = "real tables"
    metrics: tuple[str, ...] = ("brier", "brier_skill", "bias", "auc")
    questions: tuple[tuple[str, ...], ...] = (REP,)

    @classmethod
    def parse(cls, told: str) -> tuple[Drawn, ...]:
        """Pilots of 8, 20 and 40 clusters from `"file: candidate, baseline, cluster"`.

        Examples
        --------
        >>> [c.reps for c in Drawn.parse("flares.csv: DAFFS, NOAA, block")]
        [8, 20, 40]
        """
        file, _, columns = told.rpartition(":")
        names = [c.strip() for c in columns.split(",")]
        if not file or len(names) != 3:
            raise CallError(
                f"{told!r} does not say where pilots are to be drawn from; write 'file.csv: candidate, baseline, "
                "cluster', such as 'matched.csv: model, rep_forecast, rep'."
            )
        stem = PurePath(file).stem
        who, whom, by = names
        return tuple(cls(f"{n} clusters of {stem}", file.strip(), who, whom, by, n) for n in (8, 20, 40))


def _reps() -> list[Cell]:
    """Number of reps x how uneven they are x how biased: a half fraction, all hard corners kept."""
    evenness = {"equal": 0.0, "uneven": 0.8, "extreme": 1.2}
    biases = {"mild": (0.3, "normal"), "large": (0.8, "normal"), "skewed": (0.5, "exponential")}
    cells = []
    for i, reps in enumerate((5, 8, 12, 20, 40, 80)):
        for j, (sizes, size_sd) in enumerate(evenness.items()):
            for k, (much, (sd, law)) in enumerate(biases.items()):
                corner = sizes != "equal" and much != "mild" and reps in (8, 20, 80)
                if (i + j + k) % 2 == 0 or corner:
                    name = f"{reps} reps, {sizes}, {much} biases"
                    cells.append(Cell(name, "reps", reps, 100 * reps, 1, size_sd, bias_sd=sd, bias=law))
    return cells


def _wins() -> list[Cell]:
    """Rare wins and common ones."""
    return [
        Cell(f"{wins:.0%} wins, {reps} reps", "wins", reps, deals, 1, wins=wins, bias_sd=0.5)
        for reps, deals in ((8, 800), (20, 2000), (40, 2000))
        for wins in (0.02, 0.04, 0.10, 0.50)
    ]


def _periods() -> list[Cell]:
    """Few and many quarters, with and without shocks that hit all reps at once."""
    return [
        Cell(
            f"{periods} quarters, {reps} reps, shocks {shock:g}",
            "periods",
            reps,
            25 * reps * periods,
            periods,
            0.5,
            shock_sd=shock,
            questions=(DEAL, REP, PERIOD, SAME_REPS, BOTH),
        )
        for i, periods in enumerate((2, 4, 6, 8, 12))
        for j, reps in enumerate((8, 20))
        for k, shock in enumerate((0.0, 0.3, 0.6))
        if (i + j + k) % 2 == 0
    ]


def _size() -> list[Cell]:
    """From 50 deals to 100,000, where the reps' differences are all that is left."""
    cells = [
        Cell(f"{deals:,} deals, {reps} reps", "deals", reps, deals, 1, 0.5, bias_sd=0.5)
        for reps, deals in ((5, 50), (8, 300), (12, 3000), (20, 5000), (20, 20_000))
    ]
    large = Cell(
        "100,000 deals, 40 reps", "deals", 40, 100_000, 1, 0.5, bias_sd=0.5, metrics=("brier", "bias")
    )
    hard = [
        Cell("2,000 deals, 8 reps, sd 1, bias 0.8", "deals", 8, 2000, 1, 1.0, bias_sd=0.8),
        Cell("5,000 deals, 20 reps, sd 1, bias 0.8", "deals", 20, 5000, 1, 1.0, bias_sd=0.8),
        Cell("15,000 deals, 60 reps, sd 1, bias 0.8", "deals", 60, 15_000, 1, 1.0, bias_sd=0.8),
        Cell("5,000 deals, 20 reps, few far off", "deals", 20, 5000, 1, 0.8, bias_sd=0.8, bias="few"),
        Cell("800 deals, 8 reps, one holds most", "deals", 8, 800, 1, 2.0, bias_sd=0.5),
        Cell(
            "2,000 deals, 20 reps, one holds most", "deals", 20, 2000, 1, 2.0, bias_sd=0.5, bias="exponential"
        ),
        Cell("4,000 deals, 40 reps, few far off", "deals", 40, 4000, 1, 0.8, bias_sd=0.8, bias="few"),
    ]
    return [*cells, large, *hard]


def _amounts() -> list[Cell]:
    """A few large deals that hold most of the money."""
    by_amount = ("brier_by_amount", "bias_by_amount")
    return [
        Cell(
            f"amounts sd {sd:g}, {reps} reps",
            "amounts",
            reps,
            50 * reps,
            1,
            0.5,
            amount_sd=sd,
            metrics=by_amount,
        )
        for reps in (8, 20, 60)
        for sd in (1.0, 1.5, 2.0)
    ]


def _accounts() -> list[Cell]:
    """Several deals of one account, and the same deal seen in several weeks."""
    accounts = [
        Cell(
            f"{per:g} deals an account, {reps} reps",
            "accounts",
            reps,
            600,
            1,
            0.5,
            bias_sd=0.0,
            per_account=per,
            account_sd=0.8,
            metrics=("brier", "log_score", "bias"),
            questions=(ACCOUNT, REP),
        )
        for reps, per in ((10, 2.0), (10, 6.0), (30, 4.0))
    ]
    looks = [
        Cell(
            f"{looks} looks at each deal, {reps} reps",
            "looks",
            reps,
            40 * reps,
            1,
            0.5,
            looks=looks,
            metrics=("brier", "log_score", "bias"),
        )
        for reps, looks in ((10, 3), (20, 8))
    ]
    return accounts + looks


def _nulls() -> list[Cell]:
    """Equally good, but different: each forecaster has biases and shocks of its own."""
    questions = (DEAL, REP, PERIOD, SAME_REPS, BOTH)
    plan = [
        (5, 0.3, 0.5, "normal", 0.0, 6),
        (8, 0.8, 0.5, "normal", 0.3, 6),
        (8, 0.0, 0.3, "normal", 0.0, 8),
        (12, 0.5, 0.3, "normal", 0.3, 4),
        (12, 0.8, 0.8, "normal", 0.0, 8),
        (20, 0.8, 0.5, "normal", 0.3, 8),
        (20, 0.0, 0.5, "exponential", 0.0, 6),
        (20, 1.2, 0.8, "normal", 0.3, 12),
        (40, 0.8, 0.3, "normal", 0.6, 12),
        (40, 0.8, 0.5, "exponential", 0.3, 8),
        (80, 0.8, 0.5, "normal", 0.0, 6),
    ]
    cells = [
        Cell(
            f"equally good: {reps} reps, sd {sd:g}, {law} {bias:g}, {periods} quarters, shocks {shock:g}",
            "equal",
            reps,
            15 * reps * periods,
            periods,
            sd,
            bias_sd=bias,
            bias=law,
            shock_sd=shock,
            null=True,
            questions=questions,
        )
        for reps, sd, bias, law, shock, periods in plan
    ]
    rare = Cell("equally good: 40 reps, 4% wins", "equal", 40, 2000, 1, wins=0.04, bias_sd=0.5, null=True)
    return [*cells, rare]


FULL: tuple[Cell, ...] = tuple(
    cell for family in (_reps, _wins, _periods, _size, _amounts, _accounts, _nulls) for cell in family()
)
_FEW = (
    "20 reps, uneven, mild biases",
    "20 reps, extreme, skewed biases",
    "4% wins, 20 reps",
    "6 quarters, 8 reps, shocks 0.6",
    "6 deals an account, 10 reps",
    "3 looks at each deal, 10 reps",
    "equally good: 8 reps, sd 0.8, normal 0.5, 6 quarters, shocks 0.3",
)
QUICK: tuple[Cell, ...] = tuple(c for c in FULL if c.name in _FEW)
