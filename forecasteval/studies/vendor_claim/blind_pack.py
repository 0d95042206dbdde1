"""Deals for a blind test: pseudonymous, as they were known at one moment; and the scores that come back, frozen.

Three things are kept in the data folder and never leave it: the ledger (`ledger/claims.jsonl`, only added to), the key of each pack
(which pseudonym is which deal) and the vendor's files as they came. The pack holds no outcome, nothing recorded after its day, and
nothing of what the reps forecast.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.wording import count
from forecasteval.errors import CallError, InputError, Problem, pinned
from forecasteval.matching.deals_as_of import Record, closings, looks_at, panel_of
from forecasteval.matching.forecasters import BUILT_IN
from forecasteval.matching.match import POPULATIONS
from forecasteval.matching.matched import RESERVED
from forecasteval.studies.vendor_claim._texts import TEXTS
from forecasteval.tables import ledger
from forecasteval.tables.columns import Sheet
from forecasteval.tables.ledger import Ledger
from forecasteval.tables.organisation import Org, newest_record
from forecasteval.tables.reading import read_sheet

FIELDS: dict[str, tuple[str, str]] = TEXTS["fields"]
_KINDS = ("probability", "rank_score")
_NAMED = 10


def claims_ledger(folder: Path) -> Path:
    """Where a data folder keeps what was registered and frozen."""
    return folder / "ledger" / "claims.jsonl"


def now() -> str:
    """This moment, as it is written into the ledger."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def receipt(entry: Mapping[str, Any]) -> str:
    """What the other side keeps: it seals this line of the ledger and all before it."""
    return f"\nReceipt, for the other side to keep (it seals this and all that stands before it): {entry['hash']}"


def record_of(org: Org) -> Record:
    """What the data know of their deals' past; refused where that is nothing."""
    if org.folder is None or org.deals is None or org.history is None or org.periods is None:
        raise CallError(
            f"{org.name} holds no history of deals, so nobody can say what was known at a moment. A CRM export with its history, or "
            "dated copies, will do (data/README.md)."
        )
    return Record(org.deals, org.history, org.periods, org.settings)


# --- the pack -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pack:
    """What was written, and what its reader has to be told."""

    folder: Path
    about: Mapping[str, Any]

    def words(self) -> str:
        """What was made, plainly."""
        a = self.about
        kind = (
            f"Retrospective: {count(a['closed_since'], 'deals')} of it are closed in your data by now, so whoever can see your CRM "
            "could look their outcomes up. The report says so."
            if a["retrospective"]
            else "Prospective: none of its deals is closed in your data."
        )
        return (
            f"{self.folder}: {count(a['deals'], 'deals')} as known at the end of {a['as_of']}, sha256 {a['sha256'][:16]}...\n{kind}\n"
            f"{_joining_on(a)}\nSend the folder as it is. Scores that come back: forecasteval freeze FILE --data DATA --name VENDOR."
        )


def _joining_on(about: Mapping[str, Any]) -> str:
    """What somebody who can see the CRM could recognise deals by."""
    each = ", ".join(f"{name} {share:.0%}" for name, share in about["singled_out"].items() if share > 0)
    return (
        f"Whoever can see your CRM could recognise deals: all fields together single out {about['singled_out_by_all']:.0%} of them; "
        f"alone: {each or 'none'}. The pseudonyms say nothing, and there is nothing else in the pack to join on."
    )


def make_pack(org: Org, as_of: str, out: Path, population: str = "closing in period") -> Pack:
    """Write a pack of the open deals of a population at the end of a day, and note it in the ledger.

    Raises
    ------
    CallError
        For data without history, a day that it does not reach, an unknown population, or a folder that holds something.
    """
    record = record_of(org)
    if population not in POPULATIONS:
        raise CallError(f"population {population!r} is not one of {', '.join(POPULATIONS)}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CallError(f"{out} is there already and is not written over. Name a new folder.")
    day, newest = _day(as_of), newest_record(org)
    if newest is None or day > newest:
        raise CallError(
            f"as_of {day:%Y-%m-%d} lies after the newest record, {newest:%Y-%m-%d}. Export again, or take that day."
        )
    looks = looks_at(record.periods, f"{day:%Y-%m-%d}")
    panel = panel_of(record, looks[looks["evaluated"]])
    panel = panel[panel["values_state"].ne("unknown") & panel["rep_state"].ne("unknown")]
    if population == "closing in period":
        panel = panel[panel["close_on"].between(panel["starts_on"], panel["ends_on"])]
    if panel.empty:
        raise CallError(f"At the end of {day:%Y-%m-%d} no deal of the population {population!r} was open.")
    deals, key = _blinded(panel)
    content = deals.to_csv(index=False, lineterminator="\n").encode()
    ends = closings(record).set_index("deal_id")["status"].reindex(key["deal_id"])
    closed = int(ends.isin(["won", "lost"]).sum())
    about = {
        "as_of": f"{day:%Y-%m-%d}",
        "period": str(panel["period"].iloc[0]),
        "population": POPULATIONS[population].format(when=f"at the end of {day:%Y-%m-%d}"),
        "deals": len(deals),
        "sha256": hashlib.sha256(content).hexdigest(),
        "made_at": now(),
        "retrospective": closed > 0,
        "closed_since": closed,
        **_singled_out(deals),
    }
    place = claims_ledger(org.folder or Path())
    book = ledger.read(place)
    key_file = key.to_csv(index=False, lineterminator="\n").encode()
    keyed = {"key_sha256": hashlib.sha256(key_file).hexdigest(), "population_name": population}
    _keep(place.parent / "packs" / f"{about['sha256']}.csv", key_file)
    ledger.append(book, [{"kind": "pack", **about, **keyed}])
    out.mkdir(parents=True, exist_ok=True)
    (out / "deals.csv").write_bytes(content)
    (out / "schema.json").write_text(json.dumps(_schema(about), indent=2) + "\n", "utf-8")
    (out / "README.md").write_text(_readme(about), "utf-8")
    return Pack(out, about)


def _day(text: str) -> pd.Timestamp:
    try:
        return pd.Timestamp(datetime.strptime(text.strip(), "%Y-%m-%d"))
    except ValueError:
        raise CallError(f"as_of {text!r} is not a day such as 2026-02-28.") from None


def _pseudonyms(values: Iterable[Any], letter: str) -> dict[Any, str]:
    """A stand-in for each, drawn at random: neither the order nor the id can be seen from it."""
    names = list(dict.fromkeys(values))
    drawn: set[str] = set()
    while len(drawn) < len(names):
        drawn.add(f"{letter}{secrets.token_hex(4)}")
    shuffled = sorted(drawn, key=lambda _: secrets.randbits(64))
    return dict(zip(names, shuffled, strict=True))


def _blinded(panel: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The fields of the pack in the order of their pseudonyms, and the key."""
    found = {
        name: panel[column].map(_pseudonyms(panel[column].dropna(), name[0]))
        for name, column in (("deal", "deal_id"), ("rep", "rep"), ("account", "account"))
        if column in panel
    }
    amount = panel["amount"].astype(float)
    size = 10.0 ** (np.floor(np.log10(amount.where(amount.abs() > 0).abs())) - 1)
    rounded = (amount / size).round() * size
    found |= {"stage": panel["stage"].astype("str"), "amount": rounded.where(amount.ne(0), amount).round(2)}
    weeks = {name: panel[name.replace("weeks", "days")] // 7 for name in ("age_weeks", "weeks_in_stage")}
    whole = weeks | {name: panel[name] for name in ("days_to_close", "pushes")}
    found |= {name: values.round().astype("Int64") for name, values in whole.items()}
    deals = pd.DataFrame(found | {"state": panel["state"].astype("str")})
    deals = deals.assign(deal_id=panel["deal_id"].astype("str")).sort_values("deal", ignore_index=True)
    return deals[[c for c in FIELDS if c in deals]], deals[["deal", "deal_id"]]


def _singled_out(deals: pd.DataFrame) -> dict[str, Any]:
    """The share of the deals whose values nobody else has: of each field alone, and of all together."""
    fields = [str(c) for c in deals if c not in ("deal", "rep", "account", "state")]

    def alone(columns: list[str]) -> float:
        return round(float((~deals.duplicated(columns, keep=False)).mean()), 4)

    return {"singled_out": {c: alone([c]) for c in fields}, "singled_out_by_all": alone(fields)}


def _schema(about: Mapping[str, Any]) -> dict[str, Any]:
    fields = [
        {"name": name, "type": kind, "meaning": meaning, "singles_out": about["singled_out"].get(name)}
        for name, (kind, meaning) in FIELDS.items()
    ]
    head = ("as_of", "period", "population", "deals", "sha256", "made_at", "retrospective")
    rest = {
        "file": "deals.csv",
        "fields": fields,
        "left_out": TEXTS["left_out"],
        "joining": _joining_on(about),
    }
    return {k: about[k] for k in head} | rest


def _readme(about: Mapping[str, Any]) -> str:
    fields = "\n".join(f"| {name} | {kind} | {meaning} |" for name, (kind, meaning) in FIELDS.items())
    late = TEXTS["retrospective" if about["retrospective"] else "prospective"]
    more = {
        "deals": count(about["deals"], "deals"),
        "fields": fields,
        "left_out": TEXTS["left_out"],
        "late": late,
    }
    return str(TEXTS["readme"].format_map({**about, **more}))


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# --- scores that come back ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores as they were frozen: deal_id, value; and the ledger's entry about them."""

    table: pd.DataFrame
    entry: Mapping[str, Any]


def freeze_scores(
    org: Org, file: Path, name: str, *, kind: str = "probability", retrospective: bool = False
) -> tuple[Ledger, str]:
    """Hash and date the scores of a pack in the ledger; the ledger and what to say.

    Raises
    ------
    InputError
        For deals that are not in the pack or stand twice, and for values that cannot be used, all at once.
    CallError
        For scores of deals that are closed already, a second file for the same pack, or a name that is taken.
    """
    record = record_of(org)
    folder = org.folder or Path()
    if name in BUILT_IN or name in RESERVED or not name.isidentifier():
        raise CallError(
            f"--name {name!r}: give the vendor a name of letters, digits and _ that nobody else bears, as vendor_z."
        )
    if kind not in _KINDS:
        raise CallError(f"--kind {kind!r} is not one of {', '.join(_KINDS)}.")
    book = ledger.read(claims_ledger(folder))
    sheet, values = _sheet_of(file, kind)
    pack, key = _pack_of(sheet, values, book, folder)
    content = file.read_bytes()
    sha = hashlib.sha256(content).hexdigest()
    earlier = [e for e in book.of("scores") if (e["forecaster"], e["pack"]) == (name, pack["sha256"])]
    if earlier and earlier[0]["sha256"] == sha:
        return book, f"{file} is frozen already, since {earlier[0]['frozen_at']}: sha256 {sha[:16]}..."
    if earlier:
        raise CallError(
            f"{name} has frozen other scores for this pack on {earlier[0]['frozen_at']}. Scores cannot be exchanged; make a new pack."
        )
    said = pd.Series(values.to_numpy(), index=key.reindex(sheet.text("deal")).to_numpy()).dropna()
    closed = closed_since(record, said.index, pack["as_of"])
    if len(closed) and not retrospective:
        sent = key[key.isin(closed.index)]
        raise CallError(
            f"Refused: {count(len(closed), 'deals')} were closed when these scores arrived, so they are no forecast: "
            f"{listed(f'{name} ({deal})' for name, deal in sent.items())}. Ask for the file without them, under the names of the pack; or "
            "freeze it with --retrospective: it is then labelled a backtest and never put together with scores that came in time."
        )
    entry = {
        "kind": "scores", "forecaster": name, "score_kind": kind, "pack": pack["sha256"], "as_of": pack["as_of"],
        "frozen_at": now(), "file": file.name, "sha256": sha, "deals": len(said), "silent": int(pack["deals"]) - len(said),
        "retrospective": bool(retrospective or pack["retrospective"]), "closed_when_frozen": len(closed),
    }  # fmt: skip
    _keep(claims_ledger(folder).parent / "scores" / f"{sha}.csv", content)
    book = ledger.append(book, [entry])
    silent = f", silent on {entry['silent']}" if entry["silent"] else ""
    unread = [str(c) for c in sheet.cells.columns if c not in ("deal", "value")]
    label = f" Not read: {', '.join(unread)}; only deal and value count." if unread else ""
    label += " A backtest: outcomes existed." if entry["retrospective"] else ""
    newest = newest_record(org)
    if newest is not None and f"{newest:%Y-%m-%d}" < entry["frozen_at"][:10]:
        label += (
            f" Your data end on {newest:%Y-%m-%d}: deals that closed between then and now are named once newer data are there, and "
            "their scores do not count."
        )
    text = (
        f"{file}: {count(len(said), 'scores')} of {name}{silent}, frozen at {entry['frozen_at']}; sha256 {sha}; "
        f"line {len(book.entries)} of {book.path}.{label}{receipt(book.entries[-1])}"
    )
    return book, text


def _sheet_of(file: Path, kind: str) -> tuple[Sheet, pd.Series]:
    """The file's cells, and its scores as numbers; unusable ones are among the problems."""
    if not file.is_file():
        raise InputError(
            [Problem(str(file), None, None, "no such file", "a CSV with deal and value", "Correct the name.")]
        )
    sheet, _ = read_sheet(file, file.name)
    absent = [c for c in ("deal", "value") if c not in sheet.cells]
    if sheet.problems or absent:
        there = ", ".join(map(str, sheet.cells.columns)) or "nothing"
        lacking = Problem(file.name, 1, None, there, "the columns deal and value", "Name them so.")
        raise InputError(sheet.problems or [lacking])
    values = sheet.numbers("value")
    outside = values[(values < 0) | (values > 1)]
    if kind == "probability" and len(outside):
        advice = "Divide percentages by 100; for a score that only ranks, freeze with --kind rank_score."
        sheet.problems += pinned(file.name, "value", outside, "a probability from 0 to 1", advice)
    return sheet, values


def _pack_of(
    sheet: Sheet, values: pd.Series, book: Ledger, folder: Path
) -> tuple[Mapping[str, Any], pd.Series]:
    """The pack that the deals of a file belong to, with its key; refused where they do not belong to one."""
    deals = sheet.text("deal")
    packs = [(entry, read_key(folder, entry)) for entry in book.of("pack")]
    if not packs:
        raise CallError(
            "No pack has been made of these data: forecasteval blind DATA --as-of DAY --out FOLDER."
        )
    pack, key = max(packs, key=lambda one: int(deals.isin(one[1].index).sum()))
    advice = "Send back the pseudonyms of one pack, each once."
    strange = deals[~deals.isin(key.index)]
    sheet.problems += pinned(sheet.file, "deal", strange, f"a deal of the pack of {pack['as_of']}", advice)
    twice = deals[deals.duplicated() & deals.notna()]
    sheet.problems += pinned(sheet.file, "deal", twice, "each deal once", advice)
    if sheet.problems:
        raise InputError(sheet.problems)
    if not values.notna().any():
        raise InputError(
            [Problem(sheet.file, None, "value", "no score", "a score for some deal", "Send it again.")]
        )
    return pack, key


def read_key(folder: Path, pack: Mapping[str, Any]) -> pd.Series:
    """Which pseudonym of a pack is which deal; refused where the key is gone or was changed."""
    path = claims_ledger(folder).parent / "packs" / f"{pack['sha256']}.csv"
    content = _unchanged(path, pack["key_sha256"], f"the key of the pack of {pack['as_of']}")
    table = pd.read_csv(io.BytesIO(content), dtype=str)
    return table.set_index("deal")["deal_id"]


def _unchanged(path: Path, sha256: str, what: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError:
        raise CallError(f"{path} is gone: {what}. Put it back from a backup.") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CallError(
            f"{path} was changed since it was noted in the ledger: {what}. Put it back from a backup."
        )
    return content


def read_scores(folder: Path, book: Ledger, name: str) -> list[Scores]:
    """What a forecaster has frozen, oldest first; refused where a file is gone or was changed."""
    packs = {e["sha256"]: e for e in book.of("pack")}
    found = []
    for entry in book.of("scores"):
        if entry["forecaster"] != name:
            continue
        path = claims_ledger(folder).parent / "scores" / f"{entry['sha256']}.csv"
        _unchanged(path, entry["sha256"], f"the scores of {name} as they came on {entry['frozen_at']}")
        sheet, values = _sheet_of(path, entry["score_kind"])
        deal_id = read_key(folder, packs[entry["pack"]]).reindex(sheet.text("deal"))
        found.append(
            Scores(pd.DataFrame({"deal_id": deal_id.to_numpy(), "value": values.to_numpy()}).dropna(), entry)
        )
    return found


def closed_by(record: Record, deals: Iterable[Any], since: str, moment: str) -> list[str]:
    """Of these deals those of which it is known today that they were closed between a day and a moment in the ledger."""
    known = closed_since(record, pd.Index(deals), since)
    return [str(deal) for deal in known[known <= pd.Timestamp(moment[:10])].index]


def closed_since(record: Record, deals: pd.Index, as_of: str) -> pd.Series:
    """Of these deals those closed since a day, with the day on which that became known."""
    ends = closings(record).drop_duplicates("deal_id").set_index("deal_id")
    known_on = ends.loc[ends["status"].isin(["won", "lost"]), "known_on"].reindex(deals).dropna()
    return known_on[known_on > pd.Timestamp(as_of)]


def listed(names: Iterable[Any]) -> str:
    """The first names of a list, and how many more there are."""
    shown = [str(name) for name in names]
    more = f" and {len(shown) - _NAMED:,} more" if len(shown) > _NAMED else ""
    return ", ".join(shown[:_NAMED]) + more
