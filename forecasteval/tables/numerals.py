"""Numbers as people write them: decimal and thousands marks, currencies, minus signs, brackets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

_ISO_4217 = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD "
    "MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF "
    "SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS "
    "VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL"
)
_CODES = frozenset(_ISO_4217.split())
_DOLLARS = frozenset(code for code in _CODES if code.endswith("D") and code not in ("AED", "AMD")) | {"MXN"}
# what a sign may stand for
_SIGNS: Mapping[str, frozenset[str]] = {
    sign: frozenset(codes.split())
    for sign, codes in {
        "€": "EUR", "euro": "EUR", "£": "GBP EGP LBP", "¥": "JPY CNY", "￥": "JPY CNY", "円": "JPY", "元": "CNY", "₹": "INR", "rs": "INR PKR LKR NPR", "₽": "RUB",
        "₩": "KRW", "₺": "TRY", "tl": "TRY", "₪": "ILS", "฿": "THB", "r$": "BRL", "us$": "USD", "c$": "CAD", "ca$": "CAD",
        "a$": "AUD", "au$": "AUD", "nz$": "NZD", "s$": "SGD", "hk$": "HKD", "mx$": "MXN", "kr": "SEK NOK DKK ISK",
        "zł": "PLN", "kč": "CZK", "ft": "HUF", "lei": "RON", "fr": "CHF", "sfr": "CHF", "₫": "VND", "₦": "NGN", "₴": "UAH",
        "₱": "PHP", "₸": "KZT",
    }.items()
} | {"$": _DOLLARS}  # fmt: skip
_THOUSANDTHS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})  # money with three decimals
_SMALL = ("eur", "usd", "gbp", "chf")  # codes that people write in small letters

_SPACES = "' ’\u00a0\u202f\u2009"
_CURRENCY = r"(?:[^\W\d_]{1,4}\.?|[^\W\d_]{0,2}[$€£¥￥₹₽₩₺₪฿₫₦₴₱₸])"
# million may be M, MM or Mio.; a mil is a thousand or a million, by language, and is asked about
_UNITS: Mapping[str, float] = {
    "[Kk]": 1e3, "[Tt]sd": 1e3, "M": 1e6, "m": 1e6, "MM": 1e6, "[Mm]n": 1e6, "[Mm]io": 1e6, "[Bb]n": 1e9, "[Mm]rd": 1e9,
    "千": 1e3, "万": 1e4, "億": 1e8,
}  # fmt: skip
_CELL = re.compile(
    rf"^(?P<open>\()?\s*(?P<minus>[-−+])?\s*(?P<before>{_CURRENCY})?\s*(?P<inner>[-−+])?\s*(?P<again>\()?"
    rf"(?P<body>[\d.,][\d.,{_SPACES}]*(?:[eE][-+]?\d+)?)\s*(?P<unit>(?:{'|'.join(_UNITS)})(?![^\W\d_円元])\.?)?"
    rf"\s*(?P<after>{_CURRENCY})?\s*(?P<trailing>[-−])?\s*(?P<close>\))?$"
)
_GROUPED = re.compile(rf"^\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d+)?$")


def _shape(decimal: str, thousands: str) -> re.Pattern[str]:
    """A number with these marks; groups of three, or as in India the last one only."""
    dot, comma = re.escape(decimal), re.escape(thousands)
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{comma}\d{{3}})+|[1-9]\d?(?:{comma}\d{{2}})+{comma}\d{{3}})"
    return re.compile(rf"^(?:{whole}(?:{dot}\d*)?|{dot}\d+)(?:[eE][-+]?\d+)?$")


_SHAPES = {".": _shape(".", ","), ",": _shape(",", ".")}
_EITHER = re.compile(r"^[1-9]\d{0,2}([.,])\d{3}$")  # decimals or thousands
_EITHER_DOTTED = r"[-+]?[1-9]\d{0,2}\.\d{3}"


TYPED = "typed"  # for a decimal mark: numbers of a program, which writes a dot and no zeros at the end


@dataclass(frozen=True)
class Numerals:
    """The cells of a column as numbers; missing where a cell is none, or is written unlike the others."""

    amounts: pd.Series
    currencies: pd.Series  # as written, missing where a cell has none
    example: str = ""  # a cell that may be read in two ways, where nothing in the column decides
    both: bool = False  # decimals are marked by a dot here and by a comma there
    assumed: str = (
        ""  # a cell whose comma was taken to mark thousands, though nothing else in the column says so
    )
    scaled: str = ""  # a cell with a letter that stands for thousands or millions


def read_numerals(
    text: pd.Series, *, stated: str = "", comma_is_thousands: bool = True, most: float = np.inf
) -> Numerals:
    """The numbers of a column; its own cells decide what dot and comma mean.

    Where they do not, the ``stated`` decimal mark does. ``most`` is the largest number that makes sense.

    >>> read_numerals(pd.Series(["1.250", "950", "€ 250.000"])).amounts.tolist()
    [1250.0, 950.0, 250000.0]
    >>> read_numerals(pd.Series(["1.250", "2.500"])).example
    '1.250'
    """
    values = pd.to_numeric(text, errors="coerce").astype(float)
    nothing = pd.Series(index=text.index, dtype="str")
    odd = text.notna() & (values.isna() | np.isinf(values))
    if not odd.any() and _machine_made(text):
        return Numerals(values, nothing)
    code, words = pd.factorize(text.dropna())
    told = [_cell(word) for word in words]  # a column of few words is read once, not once a row
    cells = [told[at] for at in code]
    bodies = [body for body, _, _ in cells]
    money = [currency for _, _, currency in cells]
    decimal, example, assumed = _decimal(bodies, money, stated, comma_is_thousands, most)
    dotted, comma = (sum(_only(body) == mark for body in set(bodies)) for mark in (".", ","))
    mark = decimal or "."
    numbers = [
        np.nan if body is None or not _SHAPES[mark].match(body) else _times(sign, _number(body, mark))
        for body, sign, _ in cells
    ]
    at = text.index[text.notna()]
    return Numerals(
        pd.Series(numbers, at, dtype=float).reindex(text.index),
        pd.Series(money, at, dtype="str").reindex(text.index),
        example, bool(dotted and comma), assumed,
        next((word for word, (body, sign, _) in zip(words, told, strict=True) if body and abs(sign) > 1), ""),
    )  # fmt: skip


def _machine_made(text: pd.Series) -> bool:
    """Whether figures that Python can read cannot be read in another way."""
    dotted = text[text.str.contains(".", regex=False, na=False)]
    three = dotted[dotted.str.slice(-4, -3).eq(".")]
    either = three[three.str.fullmatch(_EITHER_DOTTED)]
    return either.empty or (len(either) < len(dotted) and not either.str.endswith("0").any())


def _times(sign: float, number: float) -> float:
    return sign * number if abs(sign) == 1 else round(sign * number, 6)


def _cell(word: str) -> tuple[str | None, float, str | None]:
    """The figures of one cell, its sign (times what a letter stands for) and its currency; no figures where it is no number."""
    found = _CELL.match(word)
    if found is None:
        return None, 1, None
    opened = bool(found["open"]) + bool(found["again"])
    minuses = [mark for mark in (found["minus"], found["inner"], found["trailing"]) if mark]
    currency = found["before"] or found["after"]
    if (
        opened != bool(found["close"])
        or len(minuses) + opened > 1
        or (found["before"] and found["after"])
        or (currency is not None and not may_be(currency))
    ):
        return None, 1, None
    body = found["body"].strip()
    if re.search(rf"[{_SPACES}]", body):
        body = re.sub(rf"[{_SPACES}]", "", body) if _GROUPED.match(body) else ""
    negative = opened or (minuses and minuses[0] != "+")
    unit = found["unit"]
    times = (
        1.0
        if unit is None
        else next(by for form, by in _UNITS.items() if re.fullmatch(form, unit.rstrip(".")))
    )
    return body or None, -times if negative else times, currency


def may_be(currency: str) -> frozenset[str]:
    """The codes that a currency's sign or code may stand for; none where it is no currency.

    >>> sorted(may_be("¥")), sorted(may_be("EUR")), sorted(may_be("Tier"))
    (['CNY', 'JPY'], ['EUR'], [])
    """
    sign = currency.lower().removesuffix(".")
    if sign in _SIGNS:
        return _SIGNS[sign]
    known = currency.upper() in _CODES and (currency.isupper() or sign in _SMALL)
    return frozenset({currency.upper()}) if known else frozenset()


def _only(body: str | None) -> str | None:
    """The decimal mark that a cell shows, if it can be read with one of them alone."""
    if body is None:
        return None
    marks = [mark for mark, shape in _SHAPES.items() if shape.match(body)]
    return marks[0] if len(marks) == 1 else None


def _decimal(
    bodies: list[str | None], money: list[str | None], stated: str, comma_is_thousands: bool, most: float
) -> tuple[str, str, str]:
    """The decimal mark, a cell that leaves it open, and one of which it was assumed."""
    shown = [mark for mark in map(_only, bodies) if mark]
    either = [body for body in bodies if body and _EITHER.match(body)]
    marks = {_EITHER.sub(r"\1", body) for body in either}
    in_decimals, in_thousands = _consistent(bodies, either)
    if stated == TYPED:
        stated = "" if any(body.endswith("0") for body in either) else "."
    if shown:
        decimal = max(".,", key=shown.count)
        doubtful = marks == {decimal} and in_thousands and not in_decimals and most >= 1000
        return (
            (stated, either[0], "") if doubtful and not stated else (stated if doubtful else decimal, "", "")
        )
    if not either:
        return ".", "", ""
    mark = min(marks)
    other = {".": ",", ",": "."}[mark]
    if len(marks) == 1 and most < 1000:
        return mark, "", ""
    in_money = any(name and not may_be(name) & _THOUSANDTHS for name in money)
    if len(marks) == 1 and (in_thousands != in_decimals or in_money):
        return (other if in_thousands else mark), "", ""
    if stated:
        return stated, "", ""
    if marks == {","} and comma_is_thousands:
        return ".", "", either[0]
    return "", either[0], ""


def _consistent(bodies: list[str | None], either: list[str]) -> tuple[bool, bool]:
    """Whether the cells that may be read in two ways go with the others as decimals, and as thousands.

    Whoever marks thousands marks all of them; decimals are either padded to one length or not padded at all.
    """
    plain = [body for body in bodies if body and body.isdigit() and body.strip("0")]
    in_decimals = not plain or not any(body.endswith("0") for body in either)
    return in_decimals, not any(len(body) > 3 for body in plain)


def _number(body: str, decimal: str) -> float:
    thousands = {".": ",", ",": "."}[decimal]
    return float(body.replace(thousands, "").replace(decimal, "."))
