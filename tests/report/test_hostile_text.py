"""Text that would act, in everything that data and claims can name: on the pages of every study, the index, the workbook."""

import io
import json
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import chromium
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

import forecasteval as fe
from forecasteval.report import _index, _workbook
from forecasteval.report._page import render
from forecasteval.report.plan import Job
from forecasteval.report.published import publish
from forecasteval.sources.folder import write_tables
from forecasteval.studies.data_sufficiency.study import Sufficiency
from forecasteval.studies.lead_scoring.study import Leads
from forecasteval.studies.measured_outcome.study import Measured
from forecasteval.studies.pipeline_review.study import Review
from forecasteval.studies.plan_pilot.study import Pilot
from forecasteval.studies.quarter_forecast.study import Quarter
from forecasteval.studies.vendor_claim.claim import ROWS, Claim, as_yaml
from forecasteval.studies.vendor_claim.study import Trial
from forecasteval.studies.weekly_monitor.study import Monitor
from forecasteval.tables.organisation import Org

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FORMULA = '=HYPERLINK("http://127.0.0.1:9/","y")'
AXE = os.environ.get("FORECASTEVAL_AXE")
LONG = '\u202e"><img src=x onerror=alert(3)>{{ 7 * 7 }}' + "W" * 120
ACTIVE = "script, iframe, form, object, embed, link, [onerror], [onclick], [href^='javascript']"


def notebook_of(name, answer):
    """The notebook as it would be executed: what each of its sections shows of this answer."""
    cells = []
    for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells:
        found = re.fullmatch(r"(?s).*?answer\.(\w+)\.(words|figure|glossary)\(\)", cell.source.strip())
        if cell.cell_type == "code" and found:
            bundle = getattr(getattr(answer, found[1]), found[2])()._repr_mimebundle_()
            data, about = bundle if isinstance(bundle, tuple) else (bundle, {})
            output = nbformat.v4.new_output("display_data", data=data, metadata=about)
            cells.append(nbformat.v4.new_code_cell(cell.source, outputs=[output]))
        elif cell.cell_type == "markdown":
            cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells)


def quarter(_):
    """Totals whose forecasters, teams and organisation are named by somebody who means harm."""
    rng, calls, actuals = np.random.default_rng(0), [], []
    for i in range(12):
        for unit in (EVIL, FORMULA):
            about = {"unit": "team", "unit_id": unit, "period": f"{2023 + i // 4}-Q{1 + i % 4}"}
            booked = 1e6 * np.exp(rng.normal(0, 0.15))
            actuals += [about | {"amount": booked}] if i < 11 else []
            said = {"week": 4, "as_of": pd.NaT}
            for name in (EVIL, FORMULA):
                amount = booked * (1.2 if name == EVIL else 1.0) * np.exp(rng.normal(0, 0.1))
                calls.append(about | said | {"forecaster": name, "amount": amount})
    org = Org(EVIL, None, calls=pd.DataFrame(calls), actuals=pd.DataFrame(actuals))
    return "quarter_forecast", Quarter(people=[EVIL, FORMULA]).run(org)


def table_of_a_pilot():
    """Deals, and two who forecast them, of the same kind."""
    rng, n = np.random.default_rng(1), 480
    truth = 1 / (1 + np.exp(-rng.normal(-0.9, 1.2, n)))
    rep, quarter = np.arange(n) % 20, np.arange(n) // 20 % 8
    table = pd.DataFrame(
        {"deal_id": [f"{FORMULA}{i}" for i in range(n)], "won": (rng.random(n) < truth).astype(int)}
    )
    table = table.assign(
        rep=[f"{EVIL}{r}" for r in rep],
        period=[f"{2024 + q // 4}-Q{q % 4 + 1}" for q in quarter],
        as_of=[pd.Timestamp(2024, 1, 28) + pd.DateOffset(months=3 * int(q)) for q in quarter],
        segment=np.where(rep % 2 == 0, EVIL, FORMULA),
        rep_forecast=(truth + rng.normal(0, 0.1, 20)[rep] + rng.normal(0, 0.1, n)).clip(0, 1),
    )
    return table.assign(**{EVIL: truth})


def claim(place):
    """A claim about them."""
    path = place / "claim.yaml"
    path.write_text(as_yaml(Claim(sentence=EVIL, says="better", answers=dict.fromkeys(ROWS, EVIL))))
    return "vendor_claim", Trial(claim=str(path), candidate=EVIL).run(
        Org(EVIL, None, matched=table_of_a_pilot())
    )


def pilot(place):
    """The plan of another."""
    write_tables(Org(EVIL, place, matched=table_of_a_pilot()), place)
    return "plan_pilot", Pilot(candidate=EVIL, baseline="rep_forecast").run(str(place))


NAMED = [
    "rep",
    "region",
    "segment",
    "account",
    "stage",
    "unit",
    "unit_id",
    "name",
    "manager",
    "type",
    "category",
    "market",
    "industry",
    "title",
    "source",
]


def demo(place, part="", every=12):
    """A part of the demo in which people, accounts, regions, stages, a vendor and the organisation bear such names."""

    def renamed(value):
        return (
            f"{(EVIL, FORMULA, LONG)[sum(map(ord, value)) % 3]} {value}" if isinstance(value, str) else value
        )

    org = fe.read(ROOT / "data" / "demo" / part)
    kept = (org.deals if org.matched is None else org.matched)["deal_id"].iloc[::every]
    tables = {}
    for name in [
        "deals",
        "history",
        "snapshots",
        "forecasts",
        "calls",
        "users",
        "outcomes",
        "activity",
        "stages",
        "matched",
    ]:
        if (table := getattr(org, name)) is None:
            continue
        table = table[table["deal_id"].isin(kept)].copy() if "deal_id" in table else table.copy()
        for column in set(NAMED) & set(table) - ({"category"} if name == "stages" else set()):
            table[column] = table[column].map(renamed)
        tables[name] = table.replace({"forecaster": {"vendor_x": EVIL}}) if name == "forecasts" else table
    settings = org.settings.model_copy(update={"name": EVIL})
    return replace(org, name=EVIL, folder=place, settings=settings, **tables)


def comparison(place):
    asked = {"segments": "region", "show_names": True, "metrics": ["brier"], "also": ["model"]}
    return "compare_forecasts", fe.Question(EVIL, "rep_forecast", **asked).run(demo(place))


def weekly(place):
    return "weekly_monitor", Monitor(EVIL, "rep_forecast", ledger=str(place / "ledger")).run(demo(place))


def review(place):
    return "pipeline_review", Review(show_names=True).run(demo(place))


def outcome(place):
    asked = {"better": "lower", "feature": EVIL, "instead": FORMULA, "measured_in": LONG}
    return "measured_outcome", Measured("hours to first reply", **asked).run(demo(place))


def leads(place):
    return "lead_scoring", Leads(segments=["market"]).run(demo(place, "leads", every=24))


def sufficiency(place):
    return "data_sufficiency", Sufficiency(segments=["region"], sizes=[30]).run(demo(place))


# all notebooks but the study of coverage, which simulates its pilots: nothing on its page comes from outside
STUDIES = [quarter, claim, pilot, comparison, weekly, review, outcome, leads, sufficiency]


@pytest.fixture(scope="module", params=STUDIES)
def made(request, tmp_path_factory):
    """Name, page and tables of a report."""
    name, answer = request.param(tmp_path_factory.mktemp("hostile"))
    published = publish(answer)
    page = render(notebook_of(name, answer), results=published.results, provenance={}, name=name)
    return name, page, published.tables


def test_on_a_page_it_is_shown_and_does_nothing(made):
    soup = BeautifulSoup(made[1], "html.parser")
    assert soup.body.select(ACTIVE) == []
    assert "alert(1)" in soup.main.get_text()
    assert "\u202e" not in soup.get_text()  # would turn round what follows it
    assert all(image["src"].startswith("data:image/") for image in soup.find_all("img"))


def test_in_a_workbook_nothing_is_a_formula_or_a_link(made):
    pytest.importorskip("xlsxwriter")
    book = zipfile.ZipFile(io.BytesIO(_workbook.workbook(f"{FORMULA}\n{EVIL}", made[2])))
    parts = {name: book.read(name).decode() for name in book.namelist()}
    assert any("alert(1)" in text for text in parts.values())
    assert [
        name for name, text in parts.items() if "<f>" in text or "hyperlink" in name + text.split("<si>")[0]
    ] == []


def index(place):
    jobs = [
        Job(Path("small.ipynb"), f"small-{i}", label, {"segment": label})
        for i, label in enumerate((EVIL, FORMULA))
    ]
    row = {
        "primary": True,
        "metric": "brier",
        "candidate": EVIL,
        "baseline": FORMULA,
        "verdict": "candidate better",
    }
    results = {
        "headline": EVIL,
        "comparisons": [row | {"difference": -0.1, "low": -0.2, "high": -0.01, "level": 0.95}],
    }
    said = {"organisation": EVIL, "title": EVIL, "headline": EVIL}
    reports = [
        _index.Made(jobs[0], place / "small-0", "", 1.0, (EVIL,), results, said),
        _index.Made(jobs[1], place / "small-1", f"{EVIL}\n{FORMULA}", 1.0),
    ]
    last = {
        "made": "2026-11-19",
        "reports": [{"folder": "small-0", "status": EVIL}, {"folder": EVIL, "label": EVIL}],
    }
    _index.write(place, reports, [EVIL], last, pd.Timestamp.now("UTC").to_pydatetime())
    return place / "index.html"


def test_on_an_index_it_is_shown_and_does_nothing(tmp_path):
    page = index(tmp_path)
    soup = BeautifulSoup(page.read_text(), "html.parser")
    assert soup.body.select(f"{ACTIVE}, img") == []
    assert soup.get_text().count("alert(1)") >= 5
    assert json.loads((tmp_path / "index.json").read_text())["reports"][1]["error"].startswith(EVIL)


needs_browser = pytest.mark.skipif(chromium.program() is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def tab():
    with chromium.browser() as opened:
        yield opened


@needs_browser
def test_in_a_browser_nothing_is_run_asked_for_or_wider_than_the_screen(made, tab, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(made[1])
    for width in chromium.WIDTHS:
        assert tab.look(page, width).faults() == []
        tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        assert tab.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


@needs_browser
def test_in_a_browser_an_index_does_nothing_either(tab, tmp_path):
    page = index(tmp_path)
    assert [fault for width in chromium.WIDTHS for fault in tab.look(page, width).faults()] == []


@needs_browser
@pytest.mark.skipif(AXE is None, reason="FORECASTEVAL_AXE names no axe.min.js")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing(made, tab, tmp_path, mode):
    page = tmp_path / "report.html"
    page.write_text(made[1])
    tab.call("Page.setBypassCSP", enabled=True)
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": mode}])
    try:
        for width in chromium.WIDTHS:
            tab.look(page, width)
            tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
            tab.evaluate(Path(AXE).read_text("utf-8"))
            tab.evaluate("void axe.run().then(found => window.found = found.violations.map(v => v.id))")
            assert tab.until("window.found && {ids: window.found}")["ids"] == []
            assert tab.evaluate(chromium.CONTRASTS) == []
    finally:
        tab.call("Page.setBypassCSP", enabled=False)
        tab.call("Emulation.setEmulatedMedia", features=[])
