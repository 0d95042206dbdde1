"""Beyond the verdict: does it pay, who saw the scores, several vendors, is there enough data, when is it decided."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError
from forecasteval.matching.matched import Matched
from forecasteval.studies.vendor_claim._evidence import MEASURES
from forecasteval.studies.vendor_claim._halves import Halves, draw
from forecasteval.studies.vendor_claim._several import several
from forecasteval.studies.vendor_claim.blind_pack import claims_ledger
from forecasteval.studies.vendor_claim.claim import Claim, Costs, as_yaml, read_claim
from forecasteval.studies.vendor_claim.study import Trial
from forecasteval.tables import ledger
from forecasteval.tables.organisation import Org

DEMO = Path(__file__).parents[2] / "data" / "demo"


@pytest.fixture(scope="module")
def better(tmp_path_factory):
    path = tmp_path_factory.mktemp("claim") / "better.yaml"
    path.write_text(as_yaml(Claim(sentence="more precise than your reps", says="better")))
    return path


def pilot(seed=0, reps=16, quarters=9, deals=12, ahead=0.7):
    """Deals with amounts; the vendor knows a share `ahead` of what the reps get wrong."""
    rng = np.random.default_rng(seed)
    n = reps * quarters * deals
    rep, quarter = np.repeat(np.arange(reps), n // reps), np.tile(np.repeat(np.arange(quarters), deals), reps)
    truth = 1 / (1 + np.exp(-rng.normal(-0.9, 1.2, n)))
    off = rng.normal(0.1, 0.1, reps)[rep] + rng.normal(0, 0.12, n)
    return pd.DataFrame(
        {
            "deal_id": np.arange(n),
            "rep": [f"r{i:02}" for i in rep],
            "won": (rng.random(n) < truth).astype(int),
            "period": [f"{2023 + q // 4}-Q{q % 4 + 1}" for q in quarter],
            "as_of": [pd.Timestamp(2023, 1, 28) + pd.DateOffset(months=3 * int(q)) for q in quarter],
            "amount": rng.lognormal(9, 0.6, n).round(),
            "rep_forecast": (truth + off).clip(0, 1),
            "vendor": (truth + (1 - ahead) * off[rng.permutation(n)]).clip(0, 1),
            "truth": truth,
        }
    )


def put(table, claim, **parameters):
    trial = Trial(claim=str(claim), candidate="vendor", **parameters)
    return trial.run(Org("pilot", None, matched=table.drop(columns="truth")))


# --- does it pay --------------------------------------------------------------------------------------


def test_attention_by_hand(better):
    table = pilot()
    answer = put(table, better, costs={"attention": 100.0, "gain": 400.0})
    value = answer.attention
    assert value.threshold == 0.25

    def brings(p):
        return ((p >= 0.25) * (400 * table["won"] - 100)).mean() * len(table) / 9

    gained = value.gained("rep_forecast")
    assert gained.value == pytest.approx(brings(table["vendor"]) - brings(table["rep_forecast"]))
    assert gained.low < gained.value < gained.high
    assert value.own("rep_forecast") == pytest.approx(
        (brings(table["vendor"]), brings(table["rep_forecast"]))
    )
    assert value.own("no_deal")[1] == 0
    assert value.own("all_deals")[1] == pytest.approx((400 * table["won"] - 100).mean() * len(table) / 9)
    assert "not told apart" in answer.pays.words().text or "worth" in answer.pays.words().text


def test_the_net_benefit_is_the_decision_curves(better):
    """(g - c) NB at t = c / g is the value per deal."""
    table = pilot()
    value = put(table, better, costs={"attention": 0.3, "gain": 1.0}).attention
    t = 0.3
    taken = table["vendor"] >= t
    nb = (taken & (table["won"] == 1)).mean() - (taken & (table["won"] == 0)).mean() * t / (1 - t)
    assert value.own("no_deal")[0] / value.per_period == pytest.approx((1 - 0.3) * nb)


def test_a_list_and_a_share_of_the_amount(better):
    table = pilot()
    value = put(table, better, costs={"attention": 50.0, "gain_share": 0.1, "attended": 0.25}).attention
    rank = table.groupby("period")["vendor"].rank(ascending=False)
    taken = rank <= 0.25 * table.groupby("period")["vendor"].transform("size")
    by_hand = (taken * (0.1 * table["amount"] * table["won"] - 50)).sum() / 9
    assert value.own("no_deal")[0] == pytest.approx(by_hand, rel=1e-9)


def test_the_committed_number_and_the_price(better):
    table = pilot()
    answer = put(table, better, costs={"over": 0.4, "under": 0.1, "price": 1000.0})
    by = table.groupby("period")
    booked = by.apply(lambda g: (g["won"] * g["amount"]).sum(), include_groups=False)

    def cost(name):
        f = by.apply(lambda g: (g[name] * g["amount"]).sum(), include_groups=False)
        return (0.4 * (f - booked).clip(lower=0) + 0.1 * (booked - f).clip(lower=0)).mean()

    saved = answer.commitment.saved
    assert saved.value == pytest.approx(cost("rep_forecast") - cost("vendor"))
    assert saved.reliable  # nine quarters
    ((what, after),) = answer.after_price
    assert (what, after.value) == ("The committed number", pytest.approx(saved.value - 1000))
    assert "after its price" in answer.pays.words().text.lower()
    assert answer.results()["pays"]["commitment"]["value"] == pytest.approx(saved.value)


def test_without_costs_nothing_is_said_of_money(better):
    answer = put(pilot(), better)
    assert answer.results()["pays"] is None
    assert "No costs were given" in answer.pays.words().text


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ({"attention": 5.0}, "gain or gain_share"),
        ({"gain": 5.0}, "attention: what it costs"),
        ({"over": 1.0}, "expected both"),
        ({"price": 5.0}, "a price alone"),
        ({"attention": -5.0, "gain": 3.0}, "above 0"),
        ({"atention": 5.0}, "'atention' is not one of"),
    ],
)
def test_costs_that_say_nothing_are_refused(costs, words):
    with pytest.raises(CallError, match=words):
        Trial(costs=costs)


def test_costs_of_the_claims_file_count_and_stay_out_of_the_questionnaire(tmp_path):
    from forecasteval.studies.vendor_claim.questionnaire import read_questions, write_questions

    claim = Claim(
        sentence="s",
        says="better",
        costs=Costs(attention=123.0, gain=4567.0),
        minimum={"won": 50, "lost": 150},
    )
    path = tmp_path / "c.yaml"
    path.write_text(as_yaml(claim))
    assert read_claim(path) == claim
    assert put(pilot(), path).attention.costs.gain == 4567
    write_questions(claim, tmp_path / "q.xlsx")
    back, _ = read_questions(tmp_path / "q.xlsx")
    assert not back.costs.given
    assert back.minimum == claim.minimum


# --- who saw the scores -------------------------------------------------------------------------------


def test_halves_are_drawn_registered_and_kept(better, tmp_path):
    (tmp_path / "data").mkdir()
    org = replace(Org("pilot", tmp_path / "data", matched=pilot().drop(columns="truth")))
    told = Trial(claim=str(better), candidate="vendor", blind_half=True, seed=7).register(org)
    drawn = ledger.read(claims_ledger(org.folder)).of("claim")[0]["halves"]
    assert drawn == {"seed": 7, **draw(org.matched["rep"].unique(), 7)}
    assert "do not show the scores to " + ", ".join(drawn["blind"]) in told
    assert len(drawn["blind"]) == len(drawn["seeing"]) == 8
    answer = Trial(claim=str(better), candidate="vendor", blind_half=True, seed=99).run(org)
    assert answer.registration.before
    assert set(answer.matched["rep"]) == set(drawn["blind"])
    assert "did not see the scores" in answer.verdict.words().text
    assert "drawn at random before it began" in answer.exposure.words().text


def test_calls_that_move_towards_the_scores_are_measured(better):
    table = pilot(reps=24)
    saw = table["rep"].isin(sorted(table["rep"].unique())[::2])
    moved = table["rep_forecast"].mask(saw, 0.7 * table["vendor"] + 0.3 * table["rep_forecast"])
    table = table.assign(rep_forecast=moved, exposed=np.where(saw, "yes", "no"))
    answer = put(table, better, exposed="exposed")
    ahead, own, apart = answer.seeing
    assert apart.difference.high < 0
    assert ahead.difference.high < 0  # the lead is smaller where they saw the scores
    assert own.difference.value < 0
    assert "their calls moved" in answer.exposure.words().text
    alike = put(pilot(reps=24).assign(exposed=np.where(saw, "yes", "no")), better, exposed="exposed")
    assert alike.seeing[2].difference.low < 0 < alike.seeing[2].difference.high
    with pytest.raises(CallError, match="exposed"):
        put(table, better, exposed="nobody_knows")
    with pytest.raises(CallError, match="yes or no"):
        put(table.assign(exposed="perhaps"), better, exposed="exposed")


def test_deals_are_told_apart_by_deal_and_rep_not_by_both_run_together():
    table = pd.DataFrame(
        {"deal_id": [1, 11], "rep": ["12", "2"], "won": 0, "v": 0.2, "b": 0.3, "saw": [0, 1]}
    )
    halves = Halves.told(Matched.of(table), "saw")
    assert halves.judged(Matched.of(table))["deal_id"].tolist() == [1]  # "112" are both


def test_the_difference_between_halves_is_welchs():
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(3)
    means = {f"r{i}": rng.normal(0.3, 0.05) for i in range(13)}
    rows = [(r, m) for r, m in means.items() for _ in range(10)]
    table = pd.DataFrame(rows, columns=["rep", "v"])
    table = table.assign(deal_id=range(130), won=0, b=0.0).assign(
        saw=table["rep"].isin(list(means)[:6]).astype(int)
    )
    halves = Halves.told(Matched.of(table), "saw")
    apart = halves.effects("v", "b", 0.95)[2].difference
    groups = [[m for r, m in means.items() if (r in list(means)[:6]) == seen] for seen in (True, False)]
    test = ttest_ind(*groups, equal_var=False)
    assert apart.p_value == pytest.approx(test.pvalue)
    assert (apart.low, apart.high) == pytest.approx(tuple(test.confidence_interval()))


# --- several vendors ----------------------------------------------------------------------------------


def gapped(seed=1):
    """Two vendors who err alike; the second is silent on deals that are hard for everybody."""
    rng = np.random.default_rng(seed)
    table = pilot(seed)
    for name in ("vendor", "vendor_b"):
        table[name] = (table["truth"] + rng.normal(0, 0.1, len(table))).clip(0, 1)
    hard = (table["truth"].between(0.35, 0.65)) & (rng.random(len(table)) < 0.9)
    return table.assign(vendor_b=table["vendor_b"].mask(hard))


def test_silence_on_hard_deals_gains_nothing(better):
    table = gapped()
    spoken = (table["vendor_b"] - table["won"]).pow(2).mean(), (table["vendor"] - table["won"]).pow(2).mean()
    assert spoken[0] < spoken[1] - 0.01  # each on its own deals, the silent one looks better
    answer = put(table, better, also=["vendor_b"])
    assert answer.vendors.stop == ""
    between = answer.vendors.leads[2].estimate
    assert between.low < 0 < between.high
    assert abs(between.value) < 0.005
    assert "within the same deal" in answer.several.words().text


def test_two_way_effects_are_least_squares(better):
    import statsmodels.api as sm

    table = gapped()[:900]
    found = several(
        Matched.of(table), ["vendor", "vendor_b"], "rep_forecast", MEASURES["brier"], ("deal",), 0.95
    )
    long = table.melt(["deal_id", "won"], ["rep_forecast", "vendor", "vendor_b"], "who", "p").dropna()
    long["loss"] = (long["p"] - long["won"]) ** 2
    for column in ("vendor", "vendor_b"):
        long[column] = (long["who"] == column).astype(float)
    columns = ["loss", "vendor", "vendor_b"]
    within = long[columns] - long.groupby("deal_id")[columns].transform("mean")
    fit = sm.OLS(within["loss"], within[["vendor", "vendor_b"]]).fit()
    assert [-lead.estimate.value for lead in found.leads[:2]] == pytest.approx(fit.params.tolist())


def test_deals_that_are_hard_for_one_alone_are_said_not_to_be_comparable(better):
    table = gapped()
    silent = table["vendor_b"].isna()
    table.loc[silent, "vendor"] = 1 - table.loc[silent, "truth"].round()  # the first fails just there
    answer = put(table, better, also=["vendor_b"])
    assert "hard for some" in answer.vendors.stop
    assert "Not comparable with each other" in answer.several.words().text
    rare = gapped().assign(vendor_b=lambda t: t["vendor_b"].where(t["deal_id"] % 3 == 0))
    assert "is silent on" in put(rare, better, also=["vendor_b"]).vendors.stop


# --- enough data --------------------------------------------------------------------------------------


def test_the_vendors_minimum_stands_beside_the_count_and_the_curve(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        as_yaml(Claim(sentence="s", says="better", minimum={"won": 200, "lost": 200, "months": 24}))
    )
    answer = Trial(claim=str(path)).run(fe.read(DEMO))
    found = answer.enough
    assert found.met
    deals = answer.org.deals
    assert 200 < found.won <= (deals["outcome"] == "won").sum()
    said = answer.data_enough.words().text
    assert "asks for 200 won and 200 lost in 24 months: met" in said
    assert "The learning curve says 100" in said
    flat = put(pilot(), path)
    assert "There is no learning curve" in flat.data_enough.words().text
    assert flat.enough.won == pilot()["won"].sum()


# --- when is it decided -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measure", ["brier", "log_score", "auc", "called_right", "precision", "recall", "lift", "brier_by_amount"]
)
def test_every_score_says_what_would_decide_it(better, measure):
    answer = put(pilot(reps=8, quarters=7, ahead=0.2), better, measure=measure)
    if answer.outcome != "undecided by this evidence":
        assert answer.decide is None
        return
    found = answer.decide
    assert (found.have_reps, found.have_periods) == (8, 7)
    assert found.told > 0
    assert found.periods is None or found.on > "2024-07-28"


def test_totals_are_decided_by_quarters(better):
    alike = pilot(quarters=9)
    noise = np.random.default_rng(2).normal(0, 0.1, len(alike))
    alike["vendor"] = (alike["rep_forecast"] + noise).clip(0, 1)
    answer = put(alike, better, measure="miss_over_actual")
    assert answer.outcome == "undecided by this evidence"
    assert answer.decide.have_reps == 0
    few = put(pilot(quarters=6, ahead=1.0), better, measure="miss_over_actual")
    assert few.decide.periods >= 8  # fewer are not a test
    assert few.decide.on > "2024-07-01"
    assert "more quarters would decide it" in few.when.words().text


def test_a_score_without_news_is_not_told_to_wait(better):
    answer = put(pilot().assign(vendor=lambda t: t["won"].astype(float)), better)
    assert answer.decide is None


# --- other kinds of claims ----------------------------------------------------------------------------


def test_precision_and_lift_by_hand(better):
    table = pilot()
    row = put(table, better, measure="precision").first.row
    by_hand = [table.loc[table[n] >= 0.5, "won"].mean() for n in ("vendor", "rep_forecast")]
    assert [row["candidate_value"], row["baseline_value"]] == pytest.approx(by_hand)
    assert row["difference"] == pytest.approx(by_hand[0] - by_hand[1])
    assert row["low"] < row["difference"] < row["high"]
    row = put(table, better, measure="lift").first.row
    rank = table.groupby("period")["vendor"].rank(ascending=False)
    size = table.groupby("period")["vendor"].transform("size")
    part = (0.2 * size - (rank - 1)).clip(0, 1)  # the deal at the edge counts in part
    assert row["candidate_value"] == pytest.approx((part * table["won"]).sum() / (0.2 * table["won"].sum()))


def test_leaks_are_seen_whatever_is_made_of_the_scores(better):
    rng = np.random.default_rng(0)
    table = pilot()
    leak = table.assign(vendor=(0.5 + (table["won"] - 0.5) * rng.uniform(0.1, 0.9, len(table))).clip(0, 1))
    for measure in ("lift", "called_right", "miss_over_actual", "precision"):
        answer = put(leak, better, measure=measure)
        assert answer.outcome == "undecided by this evidence", measure
        assert not answer.main["reliable"]
        assert "hindsight" in answer.results()["headline"]


def test_one_answer_holds_the_verdict_on_every_kind_of_claim(better, tmp_path):
    """What the simulation of wrong verdicts rests on (tests/benchmarks/claims_judged_wrongly.py)."""
    path = tmp_path / "accuracy.yaml"
    path.write_text(as_yaml(Claim(sentence="95% accurate", says="accuracy")))
    table = pilot(reps=8)
    once = put(table, better)
    rows = {f.measure.name: f for f in once.definitions}
    for measure, at_least in (("auc", 0.6), ("precision", 0.7), ("lift", 2.2), ("called_right", 0.5)):
        asked = put(table, path, measure=measure, at_least=at_least)
        found = replace(rows[measure], absolute=True, at_least=at_least)
        assert (asked.main["low"], asked.main["high"]) == found.claimed[1:]
        assert asked.outcome == found.verdict
    asked = put(table, better, measure="precision", at_least=0.02)
    assert asked.outcome == replace(rows["precision"], at_least=0.02).verdict
