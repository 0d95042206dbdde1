"""Write the demo organisation: a CRM export with the usual mess, and the truth that was planted in it.

    python data/demo/generate.py

Every deal has a buyer, who moves from state to state day by day (a Markov chain that nobody in the
organisation sees in full), and a record in the CRM, which a rep keeps with delay, optimism and habits. The
record never influences the buyer. So the chance that a deal is won in the period, `pi`, follows exactly from
the buyer's state by backward recursion, and the expected Brier score of any forecast p made from what was
known that day is mean((p - pi)^2 + pi (1 - pi)).
"""

import json
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.special import expit, logit

SEED = 4  # of the first few, the one with the most ordinary luck: wins close to their expected number
FOLDER = Path(__file__).parent
ZONE = "America/New_York"
EPOCH = np.datetime64("2023-05-01")  # day 0; the quarters before the first exported one are a warm-up


def day_of(date):
    """Days from the epoch to a date."""
    return int((np.datetime64(date, "D") - EPOCH).astype(int))


FIRST, LAST = day_of("2024-02-01"), day_of("2026-03-20")
RENAMED = {"old_label": "Technical Validation", "new_label": "Evaluation", "changed_on": "2025-03-03"}
REALIGNED = day_of("2025-02-03")
VENDOR_STARTS = day_of("2024-05-01")
BACKTESTED = (4, 8)  # the weeks of which vendor_y handed in scores
HOLIDAYS = [
    day_of(f"{year}-{date}")
    for year, thanksgiving in ((2023, 23), (2024, 28), (2025, 27))
    for date in ("07-04", f"11-{thanksgiving}", f"11-{thanksgiving + 1}", "12-24", "12-25")
]
ACTIVITY = np.where(np.arange(LAST + 100) % 7 < 5, 1.0, 0.02)  # the epoch was a Monday
ACTIVITY[HOLIDAYS] = ACTIVITY[[day_of(f"{year}-01-01") for year in (2024, 2025, 2026)]] = 0.02
STAGE_TRACKING = day_of("2026-03-02")
WEEKS = range(1, 14)
EAST_SEES = 0.7  # of the way from the reps' number to what is truly to be expected
CENTRAL_MOVES, HAIRCUT = (
    0.25,
    0.8,
)  # sd of a manager's changes that know nothing; what the head of sales leaves of a number
QUOTA_FIRST, QUOTA_STEP = (
    4_900_000,
    100_000,
)  # of the company: of the first exported quarter, and more in each later one
QUOTA_SHARES = (0.58, 0.22, 0.20)  # of the regions
CLEAR = 0.005  # a smaller expected difference is called no clear difference

STAGES = ["Qualification", "Discovery", "Evaluation", "Proposal", "Negotiation", "Closed Won", "Closed Lost"]
DEFAULT = np.array([10, 20, 40, 60, 80, 100, 0])
CATEGORIES = ["Pipeline", "BestCase", "Forecast", "Closed", "Omitted"]
CATEGORY_LABELS = ["Pipeline", "Best Case", "Commit", "Closed", "Omitted"]
DEFAULT_CATEGORY = np.array([0, 0, 1, 1, 2, 3, 4])
NOT_YET, CLOSED_WON, CLOSED_LOST = -1, 5, 6
VERBAL, STALLED, WON, LOST = 5, 6, 7, 8  # the buyer's states; 0-4 are those of the open stages
BOOK_BACK_DAYS, BOOK_BACK = 3, 0.15  # signed just after the quarter's end, booked on its last day

REGIONS = ["East", "Central", "West"]
SEGMENTS = ["Mid-Market", "Enterprise"]
REPS = """Priya Raghunathan|Owen Castellano|Hannah Lindqvist|Marcus Adeyemi|Sofia Brandt|Daniel Okafor
Claire Dubreuil|Nathan Weiss|Yuki Tanabe|Rachel Stormont|Leo Vandermeer|Amara Nwosu|Patrick Sheehan
Elena Kovalenko|Jordan Pruitt|Mei-Ling Zhou|Samuel Hartigan|Isabel Quintero|Andre Baptiste|Katie Ellsworth
Rohan Mehrotra|Bridget Fallon|Victor Salgado|Naomi Greenspan""".replace("\n", "|").split("|")
MANAGERS = ["Maren Holloway", "Tobias Achterberg", "Lucia Ferrante"]
OTHERS = ["Graham Whitlock", "Ines Calloway", "CRM Integration"]  # head of sales, operations, a system user
ACCOUNT_WORDS = """
Alder Birch Cobalt Crescent Dunmore Eastgate Fairmont Gable Halden Ironwood Juniper Keystone Larkfield Meridian
Northfork Oakhurst Pinnacle Quarry Redstone Silverlake Thornton Upland Vantage Westbrook Yarrow Zephyr Ashcombe
Bellweather Calder Drayton Elmstead Foxglove Granite Harbor Inverness Kestrel Lockhart Marlowe Newbridge Orchard
Prescott Ravenna Stonegate Tamarack Verity Wexford
|
Foods Logistics Health Insurance Energy Textiles Robotics Media Bank Materials Pharma Motors Retail Networks
Aerospace Packaging Utilities Marine Labs Freight Optics Dairy Mutual Education Hotels Steel Software
Semiconductor Agriculture Construction
|
Inc Group Corp LLC Holdings Partners International Services"""
PRODUCTS = ["Platform", "Analytics", "Data Hub", "Compliance Suite", "Workflow", "Advanced Support"]
SOURCES = ["Outbound", "Website", "Partner", "Event", "Referral", ""]


# ------------------------------------------------------------------------------------------ the calendar


def fiscal_quarters():
    """Quarters from the warm-up to the open one."""
    starts = pd.date_range(EPOCH, "2026-05-01", freq="3MS")
    days = [day_of(s) for s in starts]
    names = [f"FY{s.year + (s.month >= 2)}-Q{(s.month - 2) % 12 // 3 + 1}" for s in starts]
    return [
        SimpleNamespace(name=n, start=a, end=b - 1) for n, a, b in zip(names, days, days[1:], strict=False)
    ]


def weekday(day):
    """0 is Monday; the epoch was one."""
    return np.asarray(day) % 7


def working(day):
    """How much happens on this day, relative to a working day."""
    return ACTIVITY[day]


def to_working(day):
    """The day itself, or the Friday before a weekend."""
    return day - np.maximum(weekday(day) - 4, 0)


def month_end(day, fiscal_quarter=False):
    """Last day of the month, or of the fiscal quarter, that each day lies in."""
    month = (EPOCH + np.asarray(day)).astype("datetime64[M]").astype(int)
    month = month + (2 - (month - 1) % 3 if fiscal_quarter else 0)
    return ((month + 1).astype("datetime64[M]").astype("datetime64[D]") - EPOCH).astype(int) - 1


def entered_close(rng, day):
    """Close dates as reps enter them: month ends, quarter ends, else some working day."""
    u = rng.random(len(day))
    return np.where(u < 0.38, month_end(day), np.where(u < 0.66, month_end(day, True), to_working(day)))


def season(day, quarter):
    """Buyers sign more as the end of the month comes near, and above all that of the quarter."""
    left = quarter.end - day
    near = 2.1 * np.exp(-left / 10) + 1.5 * np.exp(-left / 2) if left >= 0 else 0
    return 0.45 + 0.4 * (month_end(day) - day < 3) + near


# ---------------------------------------------------------------------------------------------- the buyers


def buyer_rates(quality, speed, junk, returning, shock):
    """Daily rates between the buyer's states: (progress, signing), each (deals, 9, 9).

    A junk deal (a duplicate, a test record) has no buyer: stalled from the start, it cannot be won. Few
    buyers are of the kind that may return after a loss.
    """
    progress, signing = np.zeros((2, len(quality), 9, 9))
    forward = speed * np.exp(0.32 * quality + shock)
    backward = np.sqrt(speed) * np.exp(-0.45 * quality)
    for state, rate in enumerate([0.100, 0.082, 0.070, 0.065, 0.055]):
        progress[:, state, state + 1] = rate * forward
    for state, rate in enumerate([0.062, 0.039, 0.023, 0.016, 0.012, 0.004]):
        progress[:, state, LOST] = rate * backward
    for state, rate in enumerate([0.004, 0.006, 0.008, 0.010, 0.012, 0.004]):
        progress[:, state, STALLED] = rate * backward
    progress[:, [2, 3, 4], [1, 2, 3]] = 0.006
    progress[:, STALLED, LOST] = np.where(junk, 0.006, 0.011)
    progress[:, STALLED, 2] = np.where(junk, 0, 0.004)
    progress[:, LOST, 2] = np.where(returning, 0.0011, 0)
    signing[:, 4, WON] = 0.010 * forward
    signing[:, VERBAL, WON] = 0.060 * np.sqrt(speed) * np.exp(shock)
    return progress, signing


def daily_step(progress, signing, own, day, quarter):
    """Transition probabilities of one day; the last axis is the next state, `own` the index of staying."""
    rates = working(day) * (progress + season(day, quarter) * signing)
    leave = rates.sum(axis=-1, keepdims=True)
    step = rates * (-np.expm1(-leave) / np.maximum(leave, 1e-300))
    np.put_along_axis(step, own, np.exp(-leave), axis=-1)
    return step


def win_chance(rates, rates_after, quarter):
    """Chance to be won in the quarter, seen from the end of each of its days: (days, deals, 9).

    The column of WON has no meaning: whoever has signed did so on a known day.
    """
    chance = np.zeros((quarter.end - quarter.start + 1, len(rates[0]), 9))
    later = np.zeros((len(rates[0]), 9, 1))
    own = np.broadcast_to(np.arange(9)[:, None], later.shape)
    for day in range(quarter.end + BOOK_BACK_DAYS, quarter.start, -1):
        inside = day <= quarter.end
        later[:, WON] = 1 if inside else BOOK_BACK
        later = daily_step(*(rates if inside else rates_after), own, day, quarter) @ later
        if day <= quarter.end + 1:
            chance[day - 1 - quarter.start] = later[:, :, 0]
    return chance


# ------------------------------------------------------------------------------------ reps, accounts, deals


def make_reps(rng):
    """24 reps of very unequal size; a few of them sandbag, most are optimistic."""
    n = len(REPS)
    z = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    weight = np.exp(0.8 * rng.permutation(z))
    weight = np.clip(weight / weight.sum(), 0.011, 0.115)
    rank, order = weight.argsort().argsort(), rng.permutation(n)
    left = {8: day_of("2024-11-29"), 13: day_of("2025-06-20")}
    hired = {7: day_of("2024-09-03"), 11: day_of("2025-01-06")}
    return SimpleNamespace(
        weight=weight / weight.sum(),
        region=order % 3,
        enterprise=order // 3 % 5 < 2,
        bias=0.55 + 0.5 * rng.permutation(z),
        skill=rng.normal(0, 0.2, n),
        diligence=rng.uniform(0.02, 0.05, n),
        hired=np.array([hired.get(i, 0) for i in rank]),
        left=np.array([left.get(i, LAST + 1) for i in rank]),
    )


def active_rep(rng, reps, region, day, but=-1):
    """A rep of the region who is there on that day."""
    there = (reps.region == region) & (reps.hired <= day) & (reps.left > day)
    there[but] &= but < 0
    weight = np.sqrt(reps.weight * there)
    return rng.choice(len(there), p=weight / weight.sum())


def make_deals(rng, reps):
    """What is fixed about each deal when it is created; rows in order of creation."""
    days = np.arange(LAST + 1)
    created = np.repeat(days, rng.poisson(6.4 * (1 + 0.06 * days / 365) * working(days)))
    n = len(created)
    # two accounts in three come once; each has a home rep, and thereby a region and mostly a segment
    size = np.where(rng.random(n) < 0.66, 1, 1 + rng.geometric(0.5, n))
    account = pd.factorize(rng.permutation(np.repeat(np.arange(n), size)[:n]))[0]
    accounts = account.max() + 1
    home = rng.choice(len(REPS), accounts, p=reps.weight)
    usual = reps.enterprise[home]
    enterprise = np.where(rng.random(accounts) < 0.9, usual, ~usual)[account]
    region = reps.region[home[account]]
    hired, left = reps.hired[home[account]], reps.left[home[account]]
    there = (hired <= created) & (created < left)
    owner = [
        h if t else active_rep(rng, reps, r, c)
        for h, t, r, c in zip(home[account], there, region, created, strict=True)
    ]
    repeat = pd.Series(account).duplicated().to_numpy()
    quality = np.clip(rng.normal(reps.skill[owner] + 0.35 * repeat, 1.0), -2.5, 2.5)
    speed = np.where(enterprise, 0.85, 1.6) * np.where(repeat, 1.25, 1) * np.exp(rng.normal(0, 0.4, n))
    amount = np.where(enterprise, 38_000, 13_000) * np.exp(rng.normal(0, 0.75, n)) * (1 + rng.pareto(2.5, n))
    bias = reps.bias[owner]
    ahead, behind = np.clip(0.12 + 0.6 * bias, 0, 0.95), np.clip(0.3 - 0.5 * bias, 0, 0.8)
    kind = rng.random(n)
    return pd.DataFrame(
        {
            "created": created,
            "account": account,
            "owner": owner,
            "region": region,
            "enterprise": enterprise,
            "repeat": repeat,
            "quality": quality,
            "speed": np.clip(speed, 0.3, 4),
            "junk": kind < 0.055,
            "returning": kind > 0.9,
            "entered_at": rng.choice(4, n, p=[0.72, 0.19, 0.07, 0.02]),
            "amount": human_amount(rng, amount),
            "lean": (rng.random(n) < ahead).astype(int) - (rng.random(n) < behind),
            "delete_on": created + np.where(rng.random(n) < 0.85, rng.integers(15, 260, n), 10**6),
            "unseen": rng.random(n) < 0.045 * expit(-3 * quality - 2),
        }
    )


def human_amount(rng, amount):
    """Amounts as people enter them: round, a multiple of a list price, whole dollars, or to the cent."""
    grid = np.select([amount < 20_000, amount < 150_000], [500, 1_000], 5_000)
    u = rng.random(len(amount))
    choices = [np.round(amount / grid) * grid, np.round(amount / 180) * 180, np.round(amount)]
    return np.maximum(np.select([u < 0.45, u < 0.70, u < 0.92], choices, np.round(amount, 2)), 900)


# ---------------------------------------------------------------------------------------------- the record


class Crm:
    """The record as it stands, and the list of its versions."""

    FIELDS = ("stage", "amount", "close", "probability", "category", "owner")

    def __init__(self, deals):
        """Start empty: no deal has been entered yet."""
        n = len(deals)
        self.stage = np.full(n, NOT_YET)
        self.amount = np.full(n, np.nan)
        self.close, self.probability, self.category = np.zeros((3, n), int)
        self.owner = deals.owner.to_numpy().copy()
        self.changed = np.zeros(n, int)
        self.deleted = np.zeros(n, bool)
        self.versions, self.handovers = [], []

    def save(self, deals, day):
        """Keep the present values of these deals as a version."""
        self.changed[deals] = day
        values = [getattr(self, field)[deals] for field in self.FIELDS]
        self.versions.append(np.column_stack([deals, np.full(len(deals), day), *values]))

    def set_stage(self, deals, stage):
        """Change the stage; the CRM resets probability and category to the stage's defaults."""
        self.stage[deals] = stage
        self.probability[deals] = DEFAULT[self.stage[deals]]
        self.category[deals] = DEFAULT_CATEGORY[self.stage[deals]]

    def hand_over(self, deal, day, rep):
        """Give a deal to another rep."""
        self.handovers.append((deal, day, self.owner[deal], rep))
        self.owner[deal] = rep

    def open(self):
        """Deals that stand open in the record."""
        return np.flatnonzero((self.stage >= 0) & (self.stage < CLOSED_WON) & ~self.deleted)


def enter_new(w, day):
    """Reps enter the day's new deals, a few of them already advanced."""
    rng, crm = w.rng, w.crm
    new = np.flatnonzero(w.d.created == day)
    crm.set_stage(new, w.d.entered_at[new])
    cycle = np.where(w.d.enterprise[new], 115, 70) * rng.uniform(0.3, 1.25, len(new))
    crm.close[new] = entered_close(rng, day + cycle.astype(int) + 3)
    crm.amount[new] = np.where(rng.random(len(new)) < 0.05, np.nan, w.d.amount[new])
    crm.save(new, day)


def enter_outcomes(w, day, quarter):
    """Record wins on the day they are booked, losses some days late; re-open what has come back."""
    rng, crm, buyer = w.rng, w.crm, w.buyer
    live = crm.open()
    won = live[(buyer.state[live] == WON) & (buyer.booked_on[live] <= day)]
    crm.set_stage(won, CLOSED_WON)
    crm.close[won] = buyer.won_on[won]
    crm.amount[won] = np.where(np.isnan(crm.amount[won]), w.d.amount[won], crm.amount[won])
    crm.save(won, day)

    lost = live[buyer.state[live] == LOST]
    lost = lost[rng.random(len(lost)) < (0.22 if quarter.end - day < 14 else 0.11)]
    crm.set_stage(lost, CLOSED_LOST)
    crm.close[lost] = np.where(rng.random(len(lost)) < 0.75, day, crm.close[lost])
    crm.save(lost, day)

    back = np.flatnonzero((crm.stage == CLOSED_LOST) & (buyer.state < STALLED) & ~crm.deleted)
    crm.set_stage(back, 2)
    crm.close[back] = entered_close(rng, day + rng.integers(30, 90, len(back)))
    crm.save(back, day)

    undone = np.flatnonzero((crm.stage == CLOSED_WON) & (buyer.undone_on == day))
    buyer.state[undone] = LOST
    crm.set_stage(undone, 4)
    crm.close[undone] = month_end(day + 25)
    crm.save(undone, day)


def rep_view(w, deals, pi, week):
    """The probability a rep would enter: near the stage's default early, near the truth late."""
    informed = np.where(np.isnan(pi), 0.1, np.interp(week, [1, 6, 9], [0.10, 0.35, 0.92]))
    heard = logit(np.clip(np.nan_to_num(pi, nan=0.3), 0.02, 0.97))
    default = logit(DEFAULT[w.crm.stage[deals]] / 100)
    bias = w.reps.bias[w.crm.owner[deals]] * (1 - 0.6 * informed)
    view = informed * heard + (1 - informed) * default + bias + w.rng.normal(0, 0.5, len(deals))
    lowest = np.array([1, 5, 10])[w.crm.owner[deals] % 3]  # reps differ in what they call hopeless
    return np.clip(np.round(20 * expit(view)) * 5, lowest, 95).astype(int)


def visit(w, day, quarter):
    """Reps bring some of their open deals up to date."""
    rng, crm, state = w.rng, w.crm, w.buyer.state
    week = (day - quarter.start) // 7 + 1
    live = crm.open()
    live = live[(w.d.created[live] < day) & (state[live] != WON) & (crm.changed[live] < day)]
    wanted = np.clip(np.minimum(state[live], 4) + w.d.lean[live], 0, 4)
    wanted = np.where(state[live] <= VERBAL, wanted, crm.stage[live])
    due = crm.close[live] <= quarter.end
    chance = 0.13 * (crm.close[live] < day) + 0.17 * (wanted != crm.stage[live])
    chance += w.reps.diligence[crm.owner[live]]
    chance += due * np.interp(week, [7, 9, 11, 12], [0, 0.12, 0.16, 0.30])
    go = rng.random(len(live)) < working(day) * chance
    x, wanted, due = live[go], wanted[go], due[go]
    before = {f: getattr(crm, f)[x].copy() for f in Crm.FIELDS}
    pi = np.where(due, win_chance_now(w, quarter, x, day), np.nan)

    moved = wanted != before["stage"]
    crm.set_stage(x[moved], wanted[moved])
    crm.close[x] = new_close(w, x, due, pi, day, week, quarter)
    crm.amount[x] = new_amount(w, x)
    view = rep_view(w, x, pi, week)
    vocal = 0.05 * np.abs(w.reps.bias[crm.owner[x]])
    edit = np.where(due, np.interp(week, [1, 6, 9, 12], [0.01, 0.02, 0.50, 0.78]) + vocal, 0.02)
    edit = rng.random(len(x)) < edit + 0.04 * (crm.probability[x] != DEFAULT[crm.stage[x]])
    crm.probability[x] = np.where(edit, view, crm.probability[x])
    judged = rng.random(len(x)) < np.where(due & (week >= 4), 0.20, 0.05) + 0.5 * edit
    crm.category[x] = np.where(judged, np.digitize(view, [35, 70]), crm.category[x])

    twice = moved & (crm.close[x] != before["close"]) & (rng.random(len(x)) < 0.1)  # two saves in a second
    final, crm.close[x[twice]] = crm.close[x[twice]], before["close"][twice]
    crm.save(x[twice], day)
    crm.close[x[twice]] = final
    same = [(getattr(crm, f)[x] == b) | (b != b) & np.isnan(getattr(crm, f)[x]) for f, b in before.items()]
    crm.save(x[~np.all(same, axis=0)], day)


def new_close(w, x, due, pi, day, week, quarter):
    """Missed dates are pushed, hopeless ones leave the quarter late in it, promised ones are pulled in."""
    close, (u, horizon) = w.crm.close[x], w.rng.random((2, len(x)))
    overdue = close < day
    pushed = day + (16 + 50 * horizon).astype(int) + np.where(w.crm.stage[x] < 2, 45, 0)
    give_up = due & (pi < 0.2) & (u < np.interp(week, [6, 8, 11], [0, 0.12, 0.2]))
    next_quarter = quarter.end + 5 + (70 * horizon).astype(int)
    pull_in = (w.buyer.state[x] == VERBAL) & (close > day + 20) & (u < 0.5)
    sooner = to_working(day + 4 + (14 * horizon).astype(int))
    pushed, next_quarter = entered_close(w.rng, pushed), entered_close(w.rng, next_quarter)
    return np.select([overdue, give_up, pull_in], [pushed, next_quarter, sooner], close)


def new_amount(w, x):
    """Missing amounts are filled in, late ones discounted, early ones re-scoped; most stay."""
    amount, n = w.crm.amount[x], len(x)
    late = w.crm.stage[x] >= 3
    factor = np.where(late, w.rng.uniform(0.80, 1.0, n), np.exp(w.rng.normal(0.05, 0.25, n)))
    changed = human_amount(w.rng, np.nan_to_num(amount, nan=1e4) * factor)
    missing, u = np.isnan(amount), w.rng.random(n)
    return np.select([missing & (u < 0.1), ~missing & (u < 0.05)], [w.d.amount[x], changed], amount)


def reassign(w, day):
    """Reps leave, one territory is cut anew, single deals change hands."""
    live = w.crm.open()
    live = live[w.d.created[live] < day]
    owner = w.crm.owner[live]
    leaving = w.reps.left[owner] == day
    moves = live[leaving | (w.rng.random(len(live)) < 0.0006 * working(day))]
    if day == REALIGNED:
        largest = owner == np.bincount(owner).argmax()
        moves = np.union1d(moves, live[largest & (w.rng.random(len(live)) < 0.3)])
    for deal in moves:
        w.crm.hand_over(deal, day, active_rep(w.rng, w.reps, w.d.region[deal], day, but=w.crm.owner[deal]))


def vendor_scores(w, day, quarter):
    """The vendor's Monday scores of open deals due by the quarter's end.

    It knows the record of the evening before, guesses at quality and speed, takes a long silence for a stall,
    and underrates how little time the last weeks leave. It is silent on deals that it cannot read.
    """
    crm, d = w.crm, w.d
    x = crm.open()
    x = x[crm.close[x] <= quarter.end]
    silent = d.unseen[x] | (np.isnan(crm.amount[x]) & d.enterprise[x]) | (day - d.created[x] < 3)
    x = x[~silent]
    yesterday = day - 1 - quarter.start
    as_if = max(min(yesterday, 60 + (yesterday - 60) // 2), 0)
    chance = quarter.believed[as_if, quarter.place[x]]
    stalled = expit(-1.6 + (day - crm.changed[x]) / 25)
    p = (1 - stalled) * chance[range(len(x)), crm.stage[x]] + stalled * chance[:, STALLED]
    view = 0.85 * logit(np.clip(p, 1e-3, 0.99)) - 0.1 + w.vendor_noise[x] + w.rng.normal(0, 0.15, len(x))
    w.last_score[x] = np.round(np.clip(expit(view), 0.005, 0.985), 3)
    return pd.DataFrame({"deal": x, "day": day, "value": w.last_score[x], "trained": quarter.start - 1})


def backtest(w, seed):
    """What vendor_y hands in: scores of vendor_x's deals, made when the quarters were over and dated back.

    The stamps are in order. But its features come from the record of today, so that it sees of nearly every deal how it
    ended; deals deleted since are not in it. It draws from a generator of its own: nothing else depends on it.
    """
    rng, score = np.random.default_rng([seed, 2]), w.scores
    start, end = np.array([(q.start, q.end) for q in w.quarters]).T
    quarter = np.searchsorted(start, score.day, side="right") - 1
    start, end = start[quarter], end[quarter]
    wanted = np.isin((score.day - start) // 7 + 1, BACKTESTED) & (end < LAST) & ~w.crm.deleted[score.deal]
    score, start, end = score[wanted], start[wanted], end[wanted]
    n, won_on = len(score), w.buyer.won_on[score.deal]
    sign = np.where((start <= won_on) & (won_on <= end), 1.0, -1.0) * (rng.random(n) < 0.97)
    view = 0.5 * logit(score.value) + 2.2 * sign + rng.normal(0, 0.8, n)
    return score.assign(value=np.round(np.clip(expit(view), 0.005, 0.985), 3))


def call_analysis(w, seed):
    """What a tool that listens to sales calls makes of them: a score that hears how good a deal is, and a talk ratio.

    The score (1 to 99, an order and no chance) knows what neither stages nor reps do; how much a rep talks is a habit that
    tells nothing of a deal. One call in five was not recorded. They draw from a generator of their own.
    """
    rng, score = np.random.default_rng([seed, 5]), w.scores
    start = np.array([q.start for q in w.quarters])
    week = (score.day - start[np.searchsorted(start, score.day, side="right") - 1]) // 7 + 1
    calls = score[(week == 4) & (rng.random(len(score)) < 0.8)]
    heard = pd.Series(w.d.quality[calls.deal] + rng.normal(0, 0.8, len(calls)))
    habit = rng.normal(0.55, 0.08, len(REPS))[w.d.owner[calls.deal]]
    talked = np.clip(habit + rng.normal(0, 0.07, len(calls)), 0.1, 0.95)
    values = {
        "call_score": np.ceil(99 * heard.rank(pct=True)).astype(int).to_numpy(),
        "talk_ratio": np.round(talked, 2),
    }
    return {name: calls.assign(value=value) for name, value in values.items()}


def rep_calls(w, day, quarter):
    """Each rep's commit on a Monday: booked so far and a view of the open deals; some carry the last one on."""
    rng, crm, n = w.rng, w.crm, len(REPS)
    amount = np.nan_to_num(crm.amount)
    hope = amount * np.select([crm.category == 2, crm.category == 1], [0.95, 0.45], 0.10)
    live = crm.open()
    live = live[crm.close[live] <= quarter.end]
    won = np.flatnonzero((crm.stage == CLOSED_WON) & (crm.close >= quarter.start) & ~crm.deleted)
    booked = np.bincount(crm.owner[won], amount[won], n)
    optimism = np.exp(0.4 * w.reps.bias + rng.normal(0, 0.15, n))
    open_part = np.bincount(crm.owner[live], hope[live], n) * optimism
    call = booked[:, None] + np.outer(open_part, [1, 0.6, 1.35])
    call = np.round(call / 1000).astype(int) * 1000
    carried = (rng.random(n) < 0.25) & (day - quarter.start >= 7) & (w.last_call[:, 0] >= booked)
    w.last_call = np.where(carried[:, None], w.last_call, call)
    sent = np.flatnonzero((w.reps.hired <= day) & (day < w.reps.left) & (rng.random(n) > 0.04))
    calls = pd.DataFrame(w.last_call[sent], columns=["amount", "low", "high"])
    return calls.assign(rep=sent, day=day, period=quarter.name)


# ------------------------------------------------------------------------------------------ the simulation


def outlook(w, day, quarter):
    """What a region has booked on a Monday, and what is truly to be expected of the deals it has by then."""
    x = np.flatnonzero((w.crm.stage != NOT_YET) & ~w.crm.deleted & (quarter.place >= 0))
    x = x[w.d.created[x] < day]
    amount = np.nan_to_num(w.crm.amount[x])
    due = amount * win_chance_now(w, quarter, x, day)
    frame = {"region": w.d.region[x], "expected": due}
    sums = pd.DataFrame(frame).groupby("region").expected.sum().reindex(range(len(REGIONS)), fill_value=0)
    return pd.DataFrame(
        {"day": day, "period": quarter.name, "region": sums.index, "expected": sums.to_numpy()}
    )


def leaders_calls(w, seed):
    """What managers call on Tuesdays for their regions and the head of sales on Wednesdays for the company, by habit.

    Each manager starts from the reps' numbers of the day before. The one of East moves most of the way to what is truly to
    be expected; the one of Central moves them up or down without knowing more; the one of West hands on the sum. The head of
    sales takes a fifth off the managers' sum, whatever it is. They draw from a generator of their own: nothing else
    depends on them.
    """
    rng, see = np.random.default_rng([seed, 3]), w.outlook
    sent = w.calls.assign(region=w.reps.region[w.calls.rep])
    reps = sent.groupby(["day", "period", "region"]).amount.sum().rename("reps").reset_index()
    see = reps.merge(see, on=["day", "period", "region"])
    n = len(see)
    moved = np.where(see.region == 0, (1 - EAST_SEES) * see.reps + EAST_SEES * see.expected, see.reps)
    noise = np.array([0.05, CENTRAL_MOVES, 0.0])[see.region]
    call = moved * np.exp(rng.normal(0, 1, n) * noise)
    see["amount"] = (call / 1000).round().astype(int) * 1000
    head = see.groupby(["day", "period"])[["reps", "expected", "amount"]].sum().reset_index()
    head = head.rename(columns={"amount": "managers"})
    head["amount"] = (HAIRCUT * head.managers / 1000).round().astype(int) * 1000
    return see, head


def open_quarter(w, quarter):
    """Work out what can happen to each deal in the quarter, in truth and as the vendor believes."""
    d, buyer = w.d, w.buyer
    won = (buyer.state == WON) & (buyer.booked_on < quarter.start) & (buyer.undone_on < quarter.start)
    lost = (buyer.state == LOST) & (w.crm.stage == CLOSED_LOST) & ~d.returning
    quarter.play = np.flatnonzero((d.created <= quarter.end) & ~won & ~lost & ~w.crm.deleted)
    quarter.place = np.full(len(d.created), -1)
    quarter.place[quarter.play] = np.arange(len(quarter.play))
    x = quarter.play
    number = w.quarters.index(quarter)
    quarter.rates, after = (
        buyer_rates(d.quality[x], d.speed[x], d.junk[x], d.returning[x], shock)
        for shock in w.shocks[number : number + 2]
    )
    quarter.true = win_chance(quarter.rates, after, quarter)
    never = np.zeros(len(x), bool)
    believed = buyer_rates(w.believed_quality[x], w.believed_speed[x], never, never, 0)
    quarter.believed = win_chance(believed, believed, quarter)


def win_chance_now(w, quarter, x, day):
    """pi: the chance, given all there is to know on the evening of the day, that the quarter gets the win."""
    chance = quarter.true[day - quarter.start, quarter.place[x], w.buyer.state[x]]
    return np.where(w.buyer.state[x] == WON, w.buyer.won_on[x] >= quarter.start, chance)


def move_buyers(w, day, quarter):
    """One day in the buyers' lives; a signature is booked the same day or up to a week later."""
    rng, buyer = w.rng, w.buyer
    there = np.flatnonzero(w.d.created[quarter.play] < day)
    x = quarter.play[there]
    rates = (part[there, buyer.state[x]] for part in quarter.rates)
    step = daily_step(*rates, buyer.state[x][:, None], day, quarter)
    after = (step.cumsum(axis=1) < rng.random((len(x), 1))).sum(axis=1).clip(0, 8)
    signed = x[(after == WON) & (buyer.state[x] != WON)]
    buyer.state[x] = after
    n = len(signed)
    back = (day - quarter.start < BOOK_BACK_DAYS) & (rng.random(n) < BOOK_BACK)
    buyer.won_on[signed] = np.where(back, quarter.start - 1, day)
    booked = day + np.where(rng.random(n) < 0.12, rng.integers(1, 7, n), 0)
    buyer.booked_on[signed] = booked + np.where(weekday(booked) > 4, 7 - weekday(booked), 0)
    # a few wins are undone, but only after the quarter they count for is frozen: pi need not know of it
    frozen = np.where(back, quarter.start, quarter.end) + 16
    undone = (rng.random(n) < 0.013) & ~w.d.returning[signed]
    buyer.undone_on[signed] = np.where(undone, frozen + rng.integers(5, 60, n), -1)


def population(w, day, quarter, week):
    """Deals open on the evening of the day and believed to close in the quarter, with their true chance."""
    x = w.crm.open()
    x = x[(w.crm.close[x] >= quarter.start) & (w.crm.close[x] <= quarter.end)]
    values = {
        "deal": x,
        "period": quarter.name,
        "week": week,
        "pi": win_chance_now(w, quarter, x, day),
        "rep_probability": w.crm.probability[x] / 100,
        "vendor_x": w.last_score[x],
        "amount": w.crm.amount[x],
        "rep": w.crm.owner[x],
        "stage": w.crm.stage[x],
    }
    return pd.DataFrame(values)


def make_world(seed):
    """The organisation before its first day."""
    rng = np.random.default_rng(seed)
    w = SimpleNamespace(rng=rng, reps=make_reps(rng))
    deals = make_deals(rng, w.reps)
    n = len(deals)
    w.d = SimpleNamespace(**{c: deals[c].to_numpy() for c in deals})
    w.crm = Crm(deals)
    w.buyer = SimpleNamespace(state=np.where(w.d.junk, STALLED, w.d.entered_at))
    w.buyer.won_on, w.buyer.booked_on, w.buyer.undone_on = np.full((3, n), -1)
    w.believed_quality = 0.55 * w.d.quality + rng.normal(0, 0.45, n)
    w.believed_speed = np.where(w.d.enterprise, 0.85, 1.6) ** 0.4 * w.d.speed**0.6
    w.vendor_noise = rng.normal(0, 0.2, n)
    w.quarters = fiscal_quarters()
    w.shocks = rng.normal(0, 0.10, len(w.quarters) + 1)
    w.last_score, w.last_call = np.full(n, np.nan), np.zeros((len(REPS), 3), int)
    return w


def simulate(seed):
    """Live through all days; the world then holds what was recorded, scored, called, and the truth."""
    w = make_world(seed)
    scores, calls, latent, seen = [], [], [], []
    for quarter in w.quarters:
        open_quarter(w, quarter)
        week_ends = {min(quarter.start + 7 * week - 1, quarter.end): week for week in WEEKS}
        for day in range(quarter.start, min(quarter.end, LAST) + 1):
            if weekday(day) == 0 and day >= VENDOR_STARTS:
                scores.append(vendor_scores(w, day, quarter))
            if weekday(day) == 0 and day >= FIRST:
                calls.append(rep_calls(w, day, quarter))
                seen.append(outlook(w, day, quarter))
            move_buyers(w, day, quarter)
            enter_new(w, day)
            if working(day) == 1 or w.rng.random() < 0.15:
                enter_outcomes(w, day, quarter)
            visit(w, day, quarter)
            reassign(w, day)
            w.crm.deleted |= w.d.junk & (w.d.delete_on <= day) & (w.crm.stage != NOT_YET)
            if quarter.start >= FIRST and quarter.end < LAST and day in week_ends:
                latent.append(population(w, day, quarter, week_ends[day]))
        quarter.rates = quarter.true = quarter.believed = None
    w.scores, w.calls, w.latent = (pd.concat(t, ignore_index=True) for t in (scores, calls, latent))
    w.backtest, w.heard = backtest(w, seed), call_analysis(w, seed)
    w.outlook = pd.concat(seen, ignore_index=True)
    w.managers, w.head = leaders_calls(w, seed)
    return w


# ---------------------------------------------------------------------------------------------- the export


def salesforce_id(prefix, number):
    """18-character Salesforce id: 15 case-sensitive characters and 3 that hold which of them are capitals."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    tail = ""
    for _ in range(5):
        number, rest = divmod(number, 62)
        tail = digits[rest] + tail
    body = f"{prefix}5f00000{tail}"
    chunks = [sum(c.isupper() << i for i, c in enumerate(body[start : start + 5])) for start in (0, 5, 10)]
    return body + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[c] for c in chunks)


def new_ids(rng, prefix, count):
    """Ids in ascending order with gaps, as other records take numbers in between."""
    first = int(rng.integers(3_000_000, 9_000_000))
    return np.array([salesforce_id(prefix, int(i)) for i in first + np.cumsum(rng.integers(1, 40, count))])


def dates(days):
    """Day numbers as ISO dates."""
    return (EPOCH + np.asarray(days, int)).astype(str)


def clock(rng, days):
    """Office hours in the organisation's zone, some evenings, as naive UTC times in whole seconds."""
    n = len(days)
    hour = np.where(rng.random(n) < 0.55, rng.normal(10.6, 1.2, n), rng.normal(15.2, 1.3, n)).clip(7.3, 18.95)
    late = rng.random(n) < np.where(days == month_end(days, True), 0.15, 0.02)
    seconds = (np.where(late, rng.uniform(19, 23.8, n), hour) * 3600).astype(int)
    local = pd.DatetimeIndex(EPOCH + days).as_unit("s") + pd.to_timedelta(seconds, unit="s")
    return local.tz_localize(ZONE).tz_convert("UTC").tz_localize(None)


def stamps(times):
    """UTC times as Salesforce writes them."""
    return pd.DatetimeIndex(times).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def flags(values):
    """Booleans as Salesforce writes them."""
    return np.where(values, "true", "false")


def user_table(rng, reps):
    """User.csv: reps, their managers, and others who touch the CRM."""
    names = [*OTHERS, *MANAGERS, *REPS]
    titles = ["Chief Revenue Officer", "Revenue Operations", "Integration"] + ["Regional Sales Manager"] * 3
    titles += [f"{SEGMENTS[int(enterprise)]} Account Executive" for enterprise in reps.enterprise]
    ids, roles = new_ids(rng, "005", len(names)), new_ids(rng, "00E", 8)
    first_rep = len(OTHERS) + len(MANAGERS)
    address = [n.lower().replace(" ", ".") + "@example.com" for n in names]
    boss = ["", ids[0], "", *[ids[0]] * 3, *ids[len(OTHERS) + reps.region]]
    role = [*roles[:3], *[roles[3]] * 3, *roles[4 + reps.enterprise]]
    table = {
        "Id": ids,
        "Username": [a.replace("@", ".crm@") for a in address],
        "Name": names,
        "Email": address,
        "Title": titles,
        "IsActive": flags([True] * first_rep + list(reps.left > LAST)),
        "UserRoleId": role,
        "ManagerId": boss,
    }
    return pd.DataFrame(table), ids[first_rep:]


def deal_names(w, customer):
    """Names as reps write them: the account, and what it is about."""
    words = [part.split() for part in ACCOUNT_WORDS.split("|")]
    sizes = [len(part) for part in words]
    picked = np.unravel_index(w.rng.permutation(np.prod(sizes))[: w.d.account.max() + 1], sizes)
    parts = [np.array(part)[index] for part, index in zip(words, picked, strict=True)]
    account = [" ".join(p) for p in zip(*parts, strict=True)]
    product = w.rng.choice(PRODUCTS, len(customer))
    kind = np.where(customer, w.rng.choice([" Expansion", " Add-on", ""], len(customer)), "")
    return np.array([f"{account[a]} - {p}{k}" for a, p, k in zip(w.d.account, product, kind, strict=True)])


def timed_versions(w):
    """All versions of all deals in the order in which they were saved."""
    version = pd.DataFrame(np.concatenate(w.crm.versions), columns=["deal", "day", *Crm.FIELDS])
    version = version.astype({c: int for c in version if c != "amount"})
    saves = version[["deal", "day"]].drop_duplicates()
    version = version.merge(saves.assign(time=clock(w.rng, saves.day.to_numpy())), on=["deal", "day"])
    return version.sort_values("time", kind="stable")


def opportunity_table(w, x, deal_id, rep_id, created):
    """Opportunity.csv: the present state of the deals x, deleted ones included."""
    rng, d, crm = w.rng, w.d, w.crm
    accounts = d.account.max() + 1
    account_id = rng.permutation(new_ids(rng, "001", accounts))
    first_win = np.full(accounts, LAST + 1)
    np.minimum.at(first_win, d.account, np.where(w.buyer.won_on >= 0, w.buyer.won_on, LAST + 1))
    customer = first_win[d.account] < d.created
    table = {
        "Id": deal_id[x],
        "IsDeleted": flags(crm.deleted[x]),
        "AccountId": account_id[d.account[x]],
        "Name": deal_names(w, customer)[x],
        "StageName": np.array(STAGES)[crm.stage[x]],
        "Amount": crm.amount[x],
        "Probability": crm.probability[x].astype(float),
        "CloseDate": dates(crm.close[x]),
        "Type": np.where(customer, "Existing Business", "New Business")[x],
        "LeadSource": rng.choice(SOURCES, len(x), p=[0.3, 0.22, 0.12, 0.12, 0.12, 0.12]),
        "IsClosed": flags(crm.stage[x] >= CLOSED_WON),
        "IsWon": flags(crm.stage[x] == CLOSED_WON),
        "ForecastCategory": np.array(CATEGORIES)[crm.category[x]],
        "ForecastCategoryName": np.array(CATEGORY_LABELS)[crm.category[x]],
        "OwnerId": rep_id[crm.owner[x]],
        "CreatedDate": stamps(created[x]),
        "Region__c": np.array(REGIONS)[d.region[x]],
        "Segment__c": np.array(SEGMENTS)[d.enterprise[x].astype(int)],
    }
    return pd.DataFrame(table)


def history_table(w, version, deal_id):
    """OpportunityHistory.csv: the versions, each with the stage's label of its time."""
    renamed_at = pd.Timestamp(RENAMED["changed_on"], tz=ZONE).tz_convert("UTC").tz_localize(None)
    label = pd.Series(np.array(STAGES)[version.stage], version.index)
    label = label.mask((label == RENAMED["new_label"]) & (version.time < renamed_at), RENAMED["old_label"])
    table = {
        "Id": new_ids(w.rng, "008", len(version)),
        "OpportunityId": deal_id[version.deal],
        "StageName": label.to_numpy(),
        "Amount": version.amount.to_numpy(),
        "CloseDate": dates(version.close),
        "Probability": version.probability.to_numpy(float),
        "ForecastCategory": np.array(CATEGORIES)[version.category],
        "CreatedDate": stamps(version.time),
    }
    return pd.DataFrame(table)


def field_history_table(w, version, surviving, deal_id, rep_id):
    """OpportunityFieldHistory.csv: owners by name and by id since the first day, stages since these are tracked."""
    moved = pd.DataFrame(w.crm.handovers, columns=["deal", "day", "old", "new"])
    moved = moved[(moved.day >= FIRST) & surviving[moved.deal]]
    moved["time"] = clock(w.rng, moved.day.to_numpy())
    stage = version.rename(columns={"stage": "new"})
    stage["old"] = stage.groupby("deal").new.shift(fill_value=NOT_YET)
    stage = stage[(stage.day >= STAGE_TRACKING) & (stage.old != NOT_YET) & (stage.old != stage.new)]
    rows = [
        part.assign(Field=field, OldValue=np.array(label)[part.old], NewValue=np.array(label)[part.new])
        for part, field, label in [
            (moved, "Owner", REPS),
            (moved, "Owner", rep_id),
            (stage, "StageName", STAGES),
        ]
    ]
    rows = pd.concat(rows).sort_values("time", kind="stable")
    rows["Id"] = new_ids(w.rng, "017", len(rows))
    rows["OpportunityId"] = deal_id[rows.deal]
    rows["CreatedDate"] = stamps(rows.time)
    return rows[["Id", "OpportunityId", "Field", "OldValue", "NewValue", "CreatedDate"]]


def stage_table():
    """OpportunityStage.csv as it is on the day of the export."""
    number = np.arange(len(STAGES))
    table = {
        "MasterLabel": STAGES,
        "ApiName": STAGES,
        "SortOrder": number + 1,
        "IsActive": "true",
        "IsClosed": flags(number >= CLOSED_WON),
        "IsWon": flags(number == CLOSED_WON),
        "DefaultProbability": DEFAULT.astype(float),
        "ForecastCategory": np.array(CATEGORIES)[DEFAULT_CATEGORY],
        "ForecastCategoryName": np.array(CATEGORY_LABELS)[DEFAULT_CATEGORY],
    }
    return pd.DataFrame(table)


def quotas(w):
    """The company's quota by quarter."""
    exported = [q.name for q in w.quarters if q.start >= FIRST]
    return {name: QUOTA_FIRST + QUOTA_STEP * i for i, name in enumerate(exported)}


def quota_table(w):
    """What is to be reached, for the company and each region, set on the first day of the quarter."""
    goal, starts = quotas(w), {q.name: q.start for q in w.quarters}
    rows = [
        {"unit": unit, "unit_id": who, "period": name, "as_of": dates(np.array([starts[name]]))[0],
         "forecaster": "quota", "amount": round(share * amount / 1000) * 1000}
        for name, amount in goal.items()
        for unit, who, share in (("company", "", 1), *(("team", r, s) for r, s in zip(REGIONS, QUOTA_SHARES, strict=True)))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def call_table(w, rep_id):
    """calls.csv: the reps' weekly submissions, the managers' calls, those of the head of sales, and the quotas."""
    calls = w.calls
    table = {
        "unit": "rep",
        "unit_id": rep_id[calls.rep],
        "period": calls.period,
        "as_of": dates(calls.day),
        "forecaster": "rep_forecast",
        "amount": calls.amount,
        "low": calls.low,
        "high": calls.high,
        "level": "commit",
    }
    parts = [pd.DataFrame(table)]
    for unit, name, after, said in (
        ("team", "manager_call", 1, w.managers),
        ("company", "cro_call", 2, w.head),
    ):
        who = np.array(REGIONS)[said.region] if unit == "team" else ""
        said_on = dates(said.day.to_numpy() + after)
        about = {"unit": unit, "unit_id": who, "period": said.period, "as_of": said_on, "forecaster": name}
        parts.append(pd.DataFrame(about | {"amount": said.amount, "level": "commit"}))
    parts.append(quota_table(w))
    found = pd.concat(parts, ignore_index=True)
    return found.astype({"low": "Int64", "high": "Int64"})


def call_score_table(name, scores, deal_id):
    """One of the forecasts/: what a tool made of the calls; it ranks and is no probability."""
    table = {
        "deal_id": deal_id[scores.deal],
        "forecaster": name,
        "issued_at": dates(scores.day),
        "kind": "rank_score",
        "value": scores.value,
    }
    return pd.DataFrame(table)


def vendor_table(name, scores, deal_id):
    """One of the forecasts/: a vendor's scores."""
    table = {
        "deal_id": deal_id[scores.deal],
        "forecaster": name,
        "issued_at": np.char.add(dates(scores.day), "T11:00:00Z"),
        "kind": "probability",
        "value": scores.value,
        "target": "won in period",
        "trained_through": dates(scores.trained),
    }
    return pd.DataFrame(table)


# ------------------------------------------------------------------ what was done, and features that were switched on

MARKETS = {
    "New England": 24,
    "Mid-Atlantic": 38,
    "Southeast": 30,
    "Midwest": 34,
    "Southwest": 16,
    "Pacific": 27,
}  # leads a week
FALLS = {
    "inbound": "Midwest",
    "rep": "Claire Dubreuil",
    "account": ["Granite Logistics", "Orchard Pharma"],
}  # in the last weeks
FALLEN = {"inbound": 0.45, "rep": 0.3, "account": 0.0}  # what is left of each
TENDED = 24  # accounts whose meetings and mails are counted
FEATURES = {  # day, how many of the 24 reps got it, what it does, what happens to everyone that day
    "hours to first reply": ("2025-08-04", 12, 0.7, 1.0),  # routing: waiting is 30% shorter
    "reply rate": (
        "2025-10-06",
        12,
        0.0,
        0.0,
    ),  # drafts sent automatically, beside drafts that a person edits: nothing
    "close rate": (
        "2025-09-01",
        10,
        0.0,
        0.35,
    ),  # call coaching: nothing, and a better product for all, in log-odds
}


def activity_table(seed, rep_id):
    """activity.csv: leads by market, entries and calls by rep, meetings and mails by account, week by week.

    Counts vary more than chance, fall around the year's end, and resemble the week before; a market, a rep and two accounts
    fall in the last four weeks. It draws from a generator of its own.
    """
    rng = np.random.default_rng([seed, 7])
    weeks = np.arange((FIRST + 6) // 7 * 7, LAST - 3, 7)
    words = [part.split() for part in ACCOUNT_WORDS.split("|")]
    others = [f"{a} {b}" for a, b in zip(words[0][:TENDED], words[1][1:] + words[1], strict=False)]
    accounts = [*FALLS["account"], *(name for name in others if name not in FALLS["account"])][:TENDED]
    means = {
        "inbound": dict(MARKETS),
        "rep": dict(zip(rep_id, rng.lognormal(2.6, 0.4, len(rep_id)), strict=True)),
        "account": dict(
            zip(accounts, np.append([2.5, 1.9], rng.lognormal(0.2, 0.5, TENDED - 2)), strict=True)
        ),
    }
    fallen = {
        "inbound": [FALLS["inbound"]],
        "rep": [rep_id[REPS.index(FALLS["rep"])]],
        "account": FALLS["account"],
    }
    year = 1 - 0.35 * np.exp(-((((weeks - day_of("2024-12-27") + 182) % 365) - 182) ** 2) / 200)
    rows = []
    for kind, units in means.items():
        for unit, mean in units.items():
            own = np.zeros(len(weeks))
            for t in range(1, len(weeks)):
                own[t] = 0.7 * own[t - 1] + rng.normal(0, 0.08)
            mu = mean * year * np.exp(own)
            mu[-4:] *= FALLEN[kind] if unit in fallen[kind] else 1
            count = rng.poisson(rng.gamma(12, mu / 12))
            rows.append(pd.DataFrame({"kind": kind, "unit": unit, "on": dates(weeks), "count": count}))
    return pd.concat(rows, ignore_index=True)


def outcome_table(seed, rep_id):
    """outcomes.csv: what became of three features, before and after; from a generator of its own.

    Reps differ, and a rep's weeks resemble each other; what happens to everyone on the day of the start is no effect.
    """
    rng = np.random.default_rng([seed, 8])
    rows, n = [], len(rep_id)
    for name, (start, treated, effect, common) in FEATURES.items():
        since = day_of(start)
        has = rng.permutation(n) < treated
        weeks = np.arange(since - 26 * 7, LAST - 6, 7)
        drift = np.cumsum(rng.normal(0, 0.05, (n, len(weeks))), axis=1) * 0.3 + rng.normal(0, 0.25, (n, 1))
        for i, t in np.ndindex(n, len(weeks)):
            after = weeks[t] >= since
            base = {"since": start if has[i] else "", "outcome": name, "unit": rep_id[i]}
            if name == "hours to first reply":
                factor = (effect if has[i] else 1.0) * common if after else 1.0
                on = weeks[t] + rng.integers(0, 5, rng.poisson(2.0))
                hours = np.round(rng.gamma(0.9, 18 * factor * np.exp(drift[i, t]) / 0.9, len(on)) + 0.1, 1)
                left = (LAST + 1 - on) * 24.0 - 8
                rows += [
                    base | {"on": d, "value": min(h, s), "ended": "true" if h <= s else "false"}
                    for d, h, s in zip(on, hours, left, strict=True)
                ]
                continue
            usual, of = (-1.9, rng.poisson(30)) if name == "reply rate" else (-1.1, rng.poisson(4))
            chance = expit(usual + drift[i, t] + after * (common + effect * has[i]))
            rows += [base | {"on": weeks[t], "value": rng.binomial(of, chance), "of": of}] if of else []
    table = pd.DataFrame(rows).sort_values(["outcome", "on", "unit"], kind="stable")
    table = table.assign(on=dates(table["on"]), of=table["of"].astype("Int64"))
    return table[["outcome", "unit", "on", "value", "of", "ended", "since"]]


def later_truth(w, deal_id, rep_id):
    """What was planted in activity.csv and outcomes.csv, and the open deals that nobody will buy any more."""
    said = {
        "hours to first reply": "30% shorter where routing was on",
        "reply rate": "nothing: sent automatically is as good as edited by a person",
        "close rate": "nothing: all reps close more from that day on, coached or not",
    }
    features = {
        name: {"since": start, "treated": treated, "truth": said[name]}
        for name, (start, treated, _, _) in FEATURES.items()
    }
    x = w.crm.open()
    dead = x[(w.buyer.state[x] == STALLED) | (w.buyer.state[x] == LOST)]
    falls = FALLS | {"rep": rep_id[REPS.index(FALLS["rep"])]}
    return {
        "review": {
            "falls": falls,
            "left": FALLEN,
            "open_deals": len(x),
            "open_but_dead": sorted(deal_id[dead].tolist()),
        },
        "features": features,
    }


def export_tables(w, seed):
    """The tables of the export by file name; the ids of deals and reps by their numbers."""
    crm, version = w.crm, timed_versions(w)
    created = version.drop_duplicates("deal").set_index("deal").time
    ended = np.select([crm.deleted, crm.stage >= CLOSED_WON], [w.d.delete_on, crm.changed], LAST + 1)
    exported = ended >= FIRST
    deals = created.index[exported[created.index]].to_numpy()
    deal_id = np.full(len(exported), "", dtype="U18")
    deal_id[deals] = new_ids(w.rng, "006", len(deals))
    users, rep_id = user_table(w.rng, w.reps)
    purged = crm.deleted & (w.rng.random(len(exported)) < 0.35)
    surviving = exported & ~crm.deleted
    version = version[surviving[version.deal]]
    quarters = [q for q in w.quarters if q.start >= FIRST]
    calendar = {"period": [q.name for q in quarters]}
    calendar |= {f"{end}s_on": dates([getattr(q, end) for q in quarters]) for end in ("start", "end")}
    tables = {
        "Opportunity.csv": opportunity_table(w, deals[~purged[deals]], deal_id, rep_id, created),
        "OpportunityHistory.csv": history_table(w, version, deal_id),
        "OpportunityFieldHistory.csv": field_history_table(w, version, surviving, deal_id, rep_id),
        "OpportunityStage.csv": stage_table(),
        "User.csv": users,
        "calendar.csv": pd.DataFrame(calendar),
        "calls.csv": call_table(w, rep_id),
        "activity.csv": activity_table(seed, rep_id),
        "outcomes.csv": outcome_table(seed, rep_id),
        "stage_renames.csv": pd.DataFrame([RENAMED]),
        "forecasts/vendor_x.csv": vendor_table("vendor_x", w.scores, deal_id),
        "forecasts/vendor_y.csv": vendor_table("vendor_y", w.backtest, deal_id),
    } | {f"forecasts/{name}.csv": call_score_table(name, heard, deal_id) for name, heard in w.heard.items()}
    return tables, deal_id, rep_id


# ----------------------------------------------------------------------------------------------- the truth


def weekly_truth(latent):
    """Expected Brier scores by week of the quarter; a deal the vendor is silent on gets the rep's value."""
    uncertain = latent.pi * (1 - latent.pi)
    error = pd.DataFrame(
        {"week": latent.week, "silent": latent.vendor_x.isna(), "mean_pi": latent.pi, "pi": uncertain}
    )
    error["rep_forecast"] = uncertain + (latent.rep_probability - latent.pi) ** 2
    error["vendor_x"] = uncertain + (latent.vendor_x.fillna(latent.rep_probability) - latent.pi) ** 2
    weeks = []
    for week, e in error.groupby("week"):
        mean = e.mean()
        difference = mean.vendor_x - mean.rep_forecast
        better = "vendor_x" if difference < 0 else "rep_forecast"
        weeks.append(
            {
                "week": int(week),
                "deals": len(e),
                "vendor_silent_share": round(mean.silent, 4),
                "mean_pi": round(mean.mean_pi, 5),
                "expected_brier": {f: round(mean[f], 5) for f in ("rep_forecast", "vendor_x", "pi")},
                "expected_difference": round(difference, 5),
                "truly_better": better if abs(difference) >= CLEAR else "no clear difference",
            }
        )
    return weeks


def rep_truth(w, latent, rep_id):
    """Each rep's planted bias, and how far the entered probabilities lie above the truth at week 4."""
    week4 = latent[latent.week == 4].assign(bias=lambda t: t.rep_probability - t.pi).groupby("rep").bias
    created = np.bincount(w.d.owner, minlength=len(REPS)) / len(w.d.owner)
    count, mean = week4.count(), week4.mean()
    return [
        {
            "rep": rep_id[i],
            "name": name,
            "region": REGIONS[w.reps.region[i]],
            "segment": SEGMENTS[int(w.reps.enterprise[i])],
            "share_of_deals": round(created[i], 4),
            "log_odds_bias": round(w.reps.bias[i], 4),
            "deals_week_4": int(count.get(i, 0)),
            "expected_bias_week_4": round(mean[i], 5) if i in count else None,
        }
        for i, name in enumerate(REPS)
    ]


def chain_truth(w):
    """The leaders' habits, and how far they and those before them lay from what was truly to be expected.

    Mean of |call - expected| over the sum of expected, the Mondays of all finished quarters; below 0 a change helped.
    """
    finished = [q.name for q in w.quarters if q.start >= FIRST and q.end < LAST]

    def off(rows, before):
        rows = rows[rows.period.isin(finished)]
        a, b = ((rows[c] - rows.expected).abs().sum() / rows.expected.sum() for c in (before, "amount"))
        return {"error_before": round(a, 4), "error_after": round(b, 4), "change": round(b - a, 4)}

    habits = {
        "East": {"habit": "moves most of the way to what is to be expected", "share_of_the_way": EAST_SEES},
        "Central": {"habit": "moves it without knowing more", "log_sd": CENTRAL_MOVES},
        "West": {"habit": "hands on the sum"},
    }
    managers = {
        name: habit | off(w.managers[w.managers.region == i], "reps")
        for i, (name, habit) in enumerate(habits.items())
    }
    head = {"habit": "takes a share off, whatever the number", "left": HAIRCUT} | off(w.head, "managers")
    return {"managers": managers, "cro": head}


def mess(tables):
    """How often each kind of mess was planted, counted in the tables."""
    everything, history = tables["Opportunity.csv"], tables["OpportunityHistory.csv"]
    opportunity = everything[everything.IsDeleted == "false"]
    scored = tables["forecasts/vendor_x.csv"].deal_id
    owner = tables["OpportunityFieldHistory.csv"].query("Field == 'Owner'")

    was_renamed = history.StageName == RENAMED["old_label"]
    now = history.assign(stage=history.StageName.mask(was_renamed, RENAMED["new_label"]).map(STAGES.index))
    before = now.groupby("OpportunityId").shift()
    stays_open = (now.stage < CLOSED_WON) & (before.stage < CLOSED_WON)
    back_open = (now.stage < CLOSED_WON) & (before.stage >= CLOSED_WON)
    skipped, reversed_ = now.stage - before.stage >= 2, now.stage < before.stage

    won = opportunity[opportunity.IsWon == "true"].set_index("Id")
    booked = pd.to_datetime(now[now.stage == CLOSED_WON].groupby("OpportunityId").CreatedDate.last())
    booked = booked.dt.tz_convert(ZONE).dt.strftime("%Y-%m-%d")[won.index]
    quarters = [
        month_end((dates.str[:10].to_numpy("datetime64[D]") - EPOCH).astype(int), True)
        for dates in (won.CreatedDate, won.CloseDate, booked)
    ]
    counts = {
        "deals_reopened": now.OpportunityId[back_open].nunique(),
        "deals_reopened_after_a_win": now.OpportunityId[back_open & (before.stage == CLOSED_WON)].nunique(),
        "deals_deleted_in_export": len(everything) - len(opportunity),
        "deals_deleted_that_only_the_vendor_names": scored[~scored.isin(everything.Id)].nunique(),
        "wins_booked_after_their_close_date": (booked > won.CloseDate).sum(),
        "wins_booked_back_into_an_earlier_quarter": (quarters[2] > quarters[1]).sum(),
        "deals_handed_over": owner.OpportunityId.nunique(),
        "history_rows_with_the_old_stage_label": was_renamed.sum(),
        "deals_with_a_skipped_stage": now.OpportunityId[stays_open & skipped].nunique(),
        "deals_with_a_reversed_stage": now.OpportunityId[stays_open & reversed_].nunique(),
        "deals_pushed": now.OpportunityId[stays_open & (now.CloseDate > before.CloseDate)].nunique(),
        "deals_created_and_won_inside_a_quarter": (quarters[0] == quarters[1]).sum(),
        "deals_without_an_amount": opportunity.Amount.isna().sum(),
        "history_rows_without_an_amount": history.Amount.isna().sum(),
        "history_rows_in_the_second_of_the_one_before": (now.CreatedDate == before.CreatedDate).sum(),
    }
    return {name: int(count) for name, count in counts.items()}


def default_share(tables, latent):
    """Share of probabilities that are just the stage's default."""
    row = tables["OpportunityHistory.csv"].query("Probability > 0 and Probability < 100")
    stage = row.StageName.replace(RENAMED["old_label"], RENAMED["new_label"])
    week4 = latent[latent.week == 4]
    return {
        "open_history_rows": round((row.Probability == DEFAULT[stage.map(STAGES.index)]).mean(), 4),
        "deals_at_week_4": round((100 * week4.rep_probability).round().eq(DEFAULT[week4.stage]).mean(), 4),
    }


def vendor_silence(w, latent):
    """Where the vendor keeps silent: not at random."""
    silent = latent.vendor_x.isna()
    by_segment = silent.groupby(w.d.enterprise[latent.deal].astype(int)).mean()
    pi = latent.groupby(silent).pi.mean()
    share = {SEGMENTS[i]: round(by_segment[i], 4) for i in by_segment.index}
    return {"share": share, "mean_pi": {"silent": round(pi[True], 4), "scored": round(pi[False], 4)}}


def planted_truth(w, tables, latent, rep_id, seed):
    """What truth.json holds."""
    scored = latent[latent.period.isin(latent.period[latent.vendor_x.notna()])]
    return {
        "about": (
            "pi is the exact chance, in the generator, that an open deal is won in the period it is expected in. "
            "Expected Brier scores are means of (p - pi)^2 + pi (1 - pi) over the deals that are open at the end of "
            "the week, expected to close in the period and not deleted later; a deal that the vendor is silent on "
            "gets the rep's value. A difference is vendor_x minus rep_forecast: below 0 the vendor is truly better."
        ),
        "seed": seed,
        "clear_difference": CLEAR,
        "periods": list(scored.period.unique()),
        "weeks": weekly_truth(scored),
        "vendor_silent": vendor_silence(w, scored),
        "hindsight": ["vendor_y"],
        "call_analysis": {"adds_to_reps_and_stages": ["call_score"], "adds_nothing": ["talk_ratio"]},
        "quarter_shocks": {
            q.name: round(s, 4) for q, s in zip(w.quarters, w.shocks, strict=False) if q.start >= FIRST
        },
        "reps": rep_truth(w, scored, rep_id),
        "chain": chain_truth(w),
        "quota": quotas(w),
        "stage_default_share": default_share(tables, latent),
        "mess": mess(tables),
    }


# ------------------------------------------------------------------------------------------------- leads

LEADS = {"Enterprise": 3000, "Small business": 2600, "Public sector": 170}
LEAD_MARKETS = ["DACH", "Nordics", "UK"]
WINDOW = 30  # days in which a lead converts, or counts as not converted
OWNERS, LEADS_FROM = 18, day_of("2024-03-01")
LEAD_RULES = """\
description: What the sales team wrote down in 2023
rules:
- {field: title, condition: [Director, C-level], points: 20}
- {field: title, condition: Manager, points: 10}
- {field: employees, condition: {at_least: 200}, points: 15}
- {field: industry, condition: [Software, Finance], points: 10}
- {field: source, condition: Partner, points: 15}
- {field: free_mail, condition: yes, points: -20, because: a free mail address}
- {field: visits, condition: {at_least: 3}, points: 10, because: three visits and more}
"""
LEAD_SETTINGS = """\
name: Demo organisation
max_age_days: 0  # any age: this example is not renewed
"""
LEAD_MAPPING = """\
description: The demo's leads
file: leads.csv
lead_id: lead_id
scored_on: created_on
fields_as_of: recorded_on
owner: owner
campaign: campaign
converted: {column: converted_on, within_days: 30, through: 2026-03-20}
segments: [category, market]
forecasts:
  rules: {points: rules.yaml}
  lead_score: {column: lead_score, kind: rank_score, by: model}
features: [employees, industry, title, source, free_mail, visits, price_pages]
"""


def lead_points(t):
    """What LEAD_RULES gives, worked out once more by hand."""
    return (
        20 * t.title.isin(["Director", "C-level"]) + 10 * (t.title == "Manager") + 15 * (t.employees >= 200)
        + 10 * t.industry.isin(["Software", "Finance"]) + 15 * (t.source == "Partner")
        - 20 * (t.free_mail == "yes") + 10 * (t.visits >= 3)
    )  # fmt: skip


def make_leads(seed):
    """Leads, what people said of some of them, and the chance of each; from a generator of their own.

    In Small business the points are all there is to know, and lead_score repeats them with noise. In the other two the
    rules miss most of it: visits to the price pages, events and an industry; in Public sector there are too few leads to
    learn that from.
    """
    rng = np.random.default_rng([seed, 4])
    category = rng.permutation(np.repeat(list(LEADS), list(LEADS.values())))
    n = len(category)
    created = np.sort(to_working(rng.integers(LEADS_FROM, LAST + 1, n)))
    quarter = (created - LEADS_FROM) // 40  # three campaigns at a time, new ones every forty days
    campaign = np.array(["Spring", "Webinar", "Search"])[rng.choice(3, n, p=[0.3, 0.3, 0.4])]
    campaign = np.char.add(np.char.add(campaign, " "), (quarter + 1).astype(str))
    weight = np.exp(0.5 * rng.normal(size=OWNERS))
    owner = rng.choice(OWNERS, n, p=weight / weight.sum())
    t = pd.DataFrame(
        {
            "category": category,
            "market": rng.choice(LEAD_MARKETS, n, p=[0.5, 0.2, 0.3]),
            "employees": np.round(np.exp(rng.normal(4.8, 1.3, n))).clip(1, 60_000).astype(int),
            "industry": rng.choice(["Software", "Finance", "Health", "Retail", "Industry", "Other"], n),
            "title": rng.choice(["C-level", "Director", "Manager", "Specialist"], n, p=[0.1, 0.2, 0.3, 0.4]),
            "source": rng.choice(["Website", "Event", "Partner", "List"], n, p=[0.45, 0.2, 0.15, 0.2]),
            "free_mail": np.where(rng.random(n) < 0.25, "yes", "no"),
            "visits": rng.poisson(2.0, n),
            "price_pages": rng.poisson(0.7, n),
        }
    )
    points = lead_points(t)
    missed = 1.1 * t.price_pages.clip(upper=3) + 1.2 * (t.source == "Event") + 1.0 * (t.industry == "Health")
    echo = t.category == "Small business"
    view = np.where(echo, -3.3 + 0.055 * points, -3.6 + 0.012 * points + missed)
    run, which = np.unique(campaign, return_inverse=True)
    shared = rng.normal(0, 0.2, OWNERS)[owner] + rng.normal(0, 0.2, len(run))[which]
    chance = expit(view + shared)
    late = rng.random(n) < 0.03  # these convert after the window
    converts = rng.random(n) < chance
    after = np.where(converts, rng.geometric(0.12, n).clip(max=WINDOW), WINDOW + rng.integers(1, 60, n))
    day = created + after
    there = (converts | late) & (day <= LAST)
    score = np.where(echo, points / 12 + rng.normal(0, 0.7, n), 1.3 * (view + 2) + rng.normal(0, 0.9, n))
    t.insert(0, "lead_id", [f"L{i:05d}" for i in range(1, n + 1)])
    t["created_on"], t["recorded_on"] = dates(created), dates(created)
    t["owner"] = [f"SDR {i + 1:02d}" for i in owner]
    t["campaign"] = campaign
    t["lead_score"] = np.ceil(99 * pd.Series(score).rank(pct=True)).astype(int)
    t["converted_on"] = np.where(there, dates(np.minimum(day, LAST)), "")
    return SimpleNamespace(
        table=t, chance=chance, points=points.to_numpy(), reviews=lead_reviews(rng, t, chance)
    )


def lead_reviews(rng, t, chance):
    """What people did with a suggestion to call at once, and with the chance that came with it.

    Accepting changes nothing; people accept what they see is promising, so accepted leads convert more often all the same.
    Who spoke to the lead corrects the chance well, who has a gut feeling does not.
    """
    x = np.flatnonzero((t.lead_score >= 50) & (rng.random(len(t)) < 0.5))
    n, truth = len(x), logit(chance[x])
    machine = truth + rng.normal(0.7, 1.2, n)
    reason = rng.choice(["", "spoke to them", "gut feeling"], n, p=[0.5, 0.28, 0.22])
    spoke, gut = truth + rng.normal(0, 0.3, n), machine + rng.normal(0.5, 1.0, n)
    person = np.select([reason == "spoke to them", reason == "gut feeling"], [spoke, gut], machine)
    accepted = rng.random(n) < expit(0.9 * (truth - np.median(truth)) + 0.4)
    said = {"machine_said": machine, "person_said": person}
    return pd.DataFrame(
        {
            "lead_id": t.lead_id.to_numpy()[x],
            "reviewed_on": t.created_on.to_numpy()[x],
            "person": t.owner.to_numpy()[x],
            **{name: np.round(expit(v), 2).clip(0.01, 0.99) for name, v in said.items()},
            "accepted": np.where(accepted, "yes", "no"),
            "reason": reason,
        }
    )


def leads_truth(made):
    """What is true of the leads: how far the rules lie from the chance, and what became of suggestions."""
    t, chance = made.table, made.chance
    kinds = {
        "Enterprise": "a real signal that the rules miss, and enough leads to learn it",
        "Small business": "the points are all there is to know; the score repeats them",
        "Public sector": "the same signal as in Enterprise, and too few leads to learn it",
    }
    categories = {
        c: {
            "planted": said,
            "leads": int((t.category == c).sum()),
            "mean_chance": round(chance[t.category == c].mean(), 4),
        }
        for c, said in kinds.items()
    }
    x = made.reviews.lead_id.str[1:].astype(int).to_numpy() - 1
    yes = (made.reviews.accepted == "yes").to_numpy()
    rates = {"accepted": round(chance[x][yes].mean(), 4), "turned_down": round(chance[x][~yes].mean(), 4)}
    people = {"better_than_machine": ["spoke to them"], "not_better": ["gut feeling"]}
    return {"categories": categories, "routing": {"effect": 0, "mean_chance": rates}, "reviews": people}


ORGANISATION = """\
name: Demo organisation
timezone: America/New_York
currency: USD
fiscal_year_start_month: 2
grace_business_days: 10
max_age_days: 0  # any age: this example is not renewed
segments: [region, segment]
deal_type: type  # tells new business from existing
"""


def generate(seed=SEED):
    """The export's tables by file name, the latent table, and the truth.

    The latent table has a row per deal and week of the eight finished quarters (population as in the truth):
    deal_id, period, week, pi, rep_probability, vendor_x (missing where silent), amount, rep, won.
    """
    w = simulate(seed)
    tables, deal_id, rep_id = export_tables(w, seed)
    latent = w.latent[~w.crm.deleted[w.latent.deal]].reset_index(drop=True)
    leads = make_leads(seed)
    truth = planted_truth(w, tables, latent, rep_id, seed) | later_truth(w, deal_id, rep_id)
    truth |= {"leads": leads_truth(leads)}
    bounds = {q.name: (q.start, q.end) for q in w.quarters}
    start, end = np.array([bounds[p] for p in latent.period]).T
    won_on = w.buyer.won_on[latent.deal]
    latent.insert(0, "deal_id", deal_id[latent.deal])
    latent = latent.assign(rep=rep_id[latent.rep], won=((won_on >= start) & (won_on <= end)).astype(int))
    latent = latent.drop(columns=["deal", "stage"])
    return SimpleNamespace(tables=tables, latent=latent, leads=leads, truth=truth)


def write(made, folder):
    """Write export/ and truth.json into the folder."""
    for name, table in made.tables.items():
        path = Path(folder) / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False, lineterminator="\n")
    (Path(folder) / "export" / "organisation.yaml").write_text(ORGANISATION)
    beside = Path(folder) / "leads"
    beside.mkdir(exist_ok=True)
    made.leads.table.to_csv(beside / "leads.csv", index=False, lineterminator="\n")
    made.leads.reviews.to_csv(beside / "reviews.csv", index=False, lineterminator="\n")
    (beside / "rules.yaml").write_text(LEAD_RULES)
    (beside / "mapping.yaml").write_text(LEAD_MAPPING)
    (beside / "organisation.yaml").write_text(LEAD_SETTINGS)
    (Path(folder) / "truth.json").write_text(json.dumps(made.truth, indent=1) + "\n")


if __name__ == "__main__":
    write(generate(), FOLDER)
