"""Results in words: written from the numbers, so that a sentence can never contradict a table."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from forecasteval.inference.estimate import Reason, against
from forecasteval.inference.questions import QUESTIONS, WITHOUT_REPS
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import Metric

_CLUSTER_NOUN = {"rep": "reps", "period": "periods", "account": "accounts", "cell": "cells"}


def decimals(low: float, high: float) -> int:
    """Decimals that an interval supports: two digits of its half-width, between two and three in general.

    More where an end would else read as zero though the interval lies wholly on one side of it.

    >>> decimals(0.009, 0.033), decimals(-0.4, 0.9), decimals(0.0001, 0.0004), decimals(-0.089, -0.0003)
    (3, 2, 5, 4)
    """
    half = (high - low) / 2
    if not (math.isfinite(half) and half > 0):
        return 3
    places = int(min(max(1 - math.floor(math.log10(half)), 2), 3 if half > 0.002 else 6))
    while low * high > 0 and round(min(abs(low), abs(high)), places) == 0 and places < 6:
        places += 1
    return places


def number(value: float, places: int = 3) -> str:
    """A number with a true minus sign; a dash where there is none.

    >>> number(-0.0215), number(float("nan"))
    ('−0.021', '–')
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "infinite"
    text = f"{value:.{places}f}"
    return text.replace("-", "−") if float(text) != 0 else text.replace("-", "")


def ends(low: float, high: float, places: int | None = None) -> str:
    """Both ends of an interval, with the digits that it supports if no other number of them is asked for.

    >>> ends(-0.0012, 0.0239), ends(-12.4, 3, 0)
    ('−0.001 to 0.024', '−12 to 3')
    """
    places = decimals(low, high) if places is None else places
    return f"{number(low, places)} to {number(high, places)}"


def capital(text: str) -> str:
    """With a capital, as a sentence starts.

    >>> capital("the reps say €4M"), capital("")
    ('The reps say €4M', '')
    """
    return text[:1].upper() + text[1:]


def percent(level: float) -> str:
    """A level in percent, with no digit too many or too few.

    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{100 * level:.10g}%"


def in_unit(metric: str, values: Sequence[float]) -> list[str]:
    """The unit in which a reader acts on a score, and the values in it; empty where there is no such unit.

    Points of probability (the root of a Brier score), the chance that was given to what happened (in percent), or pairs in
    the right order (of 100).

    >>> in_unit("brier", [0.163, 0.201]), in_unit("auc", [0.76, 0.74]), in_unit("brier_skill", [0.1, 0.0])
    (['points', '40', '45'], ['pairs', '76', '74'], [])
    """
    if not all(map(math.isfinite, values)):
        return []
    if metric in ("brier", "brier_by_amount"):
        return ["points", *(f"{100 * math.sqrt(v):.0f}" for v in values)]
    if metric == "log_score":
        return ["chance", *(f"{100 * math.exp(-v):.0f}" for v in values)]
    return ["pairs", *(f"{100 * v:.0f}" for v in values)] if metric == "auc" else []


def count(n: int, noun: str) -> str:
    """A number of things, singular where it is one.

    >>> count(1, "deals"), count(2310, "deals")
    ('1 deal', '2,310 deals')
    """
    return f"{n:,} {noun.removesuffix('s') if n == 1 else noun}"


def doubts(reasons: Iterable[Reason]) -> str:
    """What speaks against believing a result, in sentences."""
    return " ".join(r["text"] for r in against(list(reasons)))


_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_SIZES = ((1e9, "bn"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def money(*amounts: float, currency: str | None = None) -> str:
    """An amount, or the two ends of a range, rounded as people speak of it.

    >>> money(4_132_000, currency="USD"), money(4_132_000, 4_870_000, currency="EUR"), money(640_200), money(12, 1_234_567)
    ('$4.1M', '€4.1 to 4.9M', '640k', '12 to 1.2M')
    >>> money(-350_000, currency="CHF"), money(28_350_000), money(99_960), money(float("nan"))
    ('−CHF 350k', '28.4M', '100k', '–')
    """
    sign = "" if not currency else _SYMBOLS.get(currency, f"{currency} ")
    parts = [_rounded(a) for a in amounts]
    if any(p is None for p in parts):
        return "–"
    units = [unit for _, unit in parts]  # type: ignore[misc]
    said = []
    for i, (text, unit) in enumerate(parts):  # type: ignore[misc]
        minus, text = ("−", text[1:]) if text.startswith("-") else ("", text)
        said.append(
            minus
            + (sign if i == 0 else "")
            + text
            + (unit if i == len(parts) - 1 or unit != units[-1] else "")
        )
    return " to ".join(said)


def _rounded(amount: float) -> tuple[str, str] | None:
    """Two or three digits that count, and the unit that they are said in."""
    if amount is None or not math.isfinite(amount):
        return None
    for size, unit in _SIZES:
        places = 1 if size >= 1e6 else 0
        if abs(round(amount / size, places)) >= 1 or size == 1:
            value = round(amount / size, places if abs(amount / size) < 100 else 0)
            return f"{value + 0.0:.{places if abs(value) < 100 else 0}f}", unit
    return None


def method(taken: str, *, longer: bool = False) -> str:
    """The interval's method, from the name of its spread.

    >>> method("rep", longer=True)
    'delete-one jackknife over reps (CR3J), t with Bell-McCaffrey df, longer on the side of who differs more between reps'
    """
    if taken == "deal":
        return "deals within fixed reps (stratified), t with Satterthwaite df"
    noun = "reps and periods" if taken == "two-way" else _CLUSTER_NOUN[taken]
    careful = f", longer on the side of who differs more between {noun}" if longer else ""
    df = "the smaller Bell-McCaffrey df" if taken == "two-way" else "Bell-McCaffrey df"
    way = "two-way" if taken == "two-way" else "delete-one"
    return f"{way} jackknife over {noun} (CR3J), t with {df}{careful}"


def size_tells(row: Mapping[str, Any], noun: str) -> str:
    """That clusters with many deals differ from those with few, with the difference per deal and per cluster."""
    places, each = decimals(row["low"], row["high"]), row["per_rep"]

    def said(of: Mapping[str, Any]) -> str:
        return f"{number(of['difference'], places)} ({ends(of['low'], of['high'], places)})"

    return (
        f"{noun.capitalize()} with many deals differ in this from {noun} with few: the difference per deal is {said(row)}; "
        f"per {noun.removesuffix('s')}, each counted once, it is {said(each)}. The first is about the deals to come, the "
        f"second about the {noun} to come."
    )


def scope(generalise_to: tuple[str, ...], nouns: Mapping[str, str]) -> str:
    """What may be different next time, in words.

    >>> scope(("rep", "period"), {"period": "quarters"})
    'new reps and new quarters'
    """
    reps = nouns.get("rep", "reps")
    words = QUESTIONS[generalise_to] if reps else WITHOUT_REPS.get(generalise_to, QUESTIONS[generalise_to])
    return spoken(words.format(periods=nouns.get("period", "periods")), nouns)


def spoken(text: str, nouns: Mapping[str, str]) -> str:
    """A sentence about deals and reps in the words of a table that speaks of something else.

    >>> spoken("Only 1 of 5 deals was won; 3 reps.", {"deal": "leads", "rep": "owners", "won": "converted"})
    'Only 1 of 5 leads was converted; 3 owners.'
    """
    taken = ("deal", "rep", *(("won", "period") if "won" in nouns else ()))
    words = {word: nouns[word] for word in taken if nouns.get(word) not in (None, "", f"{word}s")}
    if not words:
        return text

    def said(found: re.Match[str]) -> str:
        noun = words[found[1]]
        return noun if found[2] or found[1] == "won" else noun.removesuffix("s")

    return re.sub(rf"\b({'|'.join(words)})(s?)\b", said, text)


def estimand(
    generalise_to: tuple[str, ...],
    candidate: str,
    baseline: str,
    about: Matched,
    nouns: Mapping[str, str],
) -> str:
    """The question that the interval answers."""
    population = about.population or spoken("the deals of the table", nouns)
    target = f", for the target {about.target!r}" if about.target else ""
    return f"{candidate} minus {baseline}, on {population}{target}; the interval is for {scope(generalise_to, nouns)}."


def size(row: Mapping[str, Any], nouns: Mapping[str, str]) -> str:
    """Deals and clusters behind a result.

    >>> size({"deals": 2310, "clusters": {"rep": {"count": 24}, "period": {"count": 8}}}, {"period": "quarters"})
    '2,310 deals, 24 reps, 8 quarters'
    """
    deals = count(row["deals"], nouns.get("deal", "deals"))
    parts = [f"{row['rows']:,} forecasts of {deals}" if row.get("rows", 0) > row["deals"] else deals]
    for dimension, report in row["clusters"].items():
        parts.append(count(report["count"], nouns.get(dimension, f"{dimension}s")))
    return ", ".join(parts)


def headline(row: Mapping[str, Any], metric: Metric, nouns: Mapping[str, str], about: Matched) -> str:
    """One sentence: moment, verdict, estimate, interval, estimand; the forecasters under their own names."""
    opening = ", ".join(said for said in (about.when, about.where) if said)
    sentence = _sentence(row, metric, nouns)
    if not opening:
        return sentence
    if sentence.startswith("Not enough"):
        sentence = "n" + sentence[1:]
    return f"{opening[0].upper()}{opening[1:]}, {sentence}"


def _sentence(row: Mapping[str, Any], metric: Metric, nouns: Mapping[str, str]) -> str:
    candidate, baseline, verdict = row["candidate"], row["baseline"], row["verdict"]
    difference, low, high = row["difference"], row["low"], row["high"]
    places = decimals(low, high)
    level = percent(row["level"])
    label = metric.label if metric.label.isupper() else metric.label[0].lower() + metric.label[1:]
    label = label.replace("brier", "Brier")
    about = scope(row["generalise_to"], nouns)
    behind = size(row, nouns)
    why = doubts(row["reasons"])
    if verdict == "cannot be compared":
        return f"{candidate} and {baseline} cannot be compared. {why}".strip()
    if metric.better == "nearer_zero":
        return (
            f"{metric.label} of {candidate} {number(row['candidate_value'])}, of {baseline} "
            f"{number(row['baseline_value'])}; a bias is described, not won. {behind}."
        )
    if verdict == "practically the same":
        if math.isnan(low):
            return f"{candidate} and {baseline} are practically the same: every {label} difference is 0; {behind}."
        return (
            f"{candidate} and {baseline} are practically the same: {label} difference {number(difference, places)} "
            f"({level} interval {ends(low, high)}), within the margin of "
            f"{row['margin']:g}, for {about}; {behind}."
        )
    if verdict in ("candidate better", "baseline better"):
        winner, loser = (candidate, baseline) if verdict == "candidate better" else (baseline, candidate)
        a, b = sorted((abs(low), abs(high)))
        direction = "lower" if metric.better == "lower" else "higher"
        return (
            f"{winner} is better than {loser}: {label} {number(abs(difference), places)} {direction} "
            f"({level} interval {ends(a, b, places)}), for {about}; {behind}."
        )
    start = f"Not enough evidence to tell {candidate} from {baseline}"
    if told := " ".join(r["text"] for r in row["reasons"] if r["code"] == "hindsight"):
        return f"{start}: {told} {behind[0].upper()}{behind[1:]}."
    if math.isnan(low):
        return f"{start}: {label} difference {number(difference)}, with no interval for {about}; {behind}. {why}".strip()
    side = candidate if metric.better == "higher" else baseline
    text = f"{start}: {label} difference {number(difference, places)} ({level} interval {ends(low, high)}; above 0 favours {side}), for {about}; {behind}."
    return text if row["reliable"] else f"{text} The interval is not reliable: {why}"
