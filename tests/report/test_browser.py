"""Reports in a real browser: nothing is logged, asked for, run, or wider than the screen."""

import os

import chromium
import gallery
import pytest

from forecasteval.report._page import render

if os.environ.get("FORECASTEVAL_NEED_BROWSER") is None:
    pytestmark = pytest.mark.skipif(chromium.program() is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def tab():
    with chromium.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(
        render(
            gallery.notebook(),
            results={"headline": gallery.HOSTILE},
            provenance=gallery.MANIFEST,
            name="gallery",
        )
    )
    return path


@pytest.mark.parametrize("width", [1280, 768, 360])
def test_a_report_with_one_of_everything_is_clean(tab, page, width):
    assert tab.look(page, width).faults() == []
    assert tab.evaluate(chromium.CONTRASTS) == []


def test_all_hostile_text_is_shown_as_text(tab, page):
    tab.look(page, 1280)
    assert tab.evaluate("document.body.textContent.split('<script>alert(1)</script>').length - 1") == 4
    assert (
        tab.evaluate(
            "document.querySelectorAll('script, iframe, main img:not([src^=\"data:image/\"])').length"
        )
        == 0
    )


def test_wide_tables_scroll_in_their_frame_and_say_so(tab, page):
    tab.look(page, 360)
    frame = "[...document.querySelectorAll('.scroll')].filter(f => f.querySelector('.dataframe'))[0]"
    assert tab.evaluate(f"{frame}.scrollWidth > {frame}.clientWidth + 100")
    assert tab.evaluate(f"getComputedStyle({frame}.querySelector('.hint')).display") == "block"
    tab.evaluate(f"{frame}.scrollLeft = 10000")
    assert tab.evaluate(f"{frame}.scrollLeft") > 100


def test_the_contents_lead_to_the_sections(tab, page):
    tab.look(page, 1280)
    links = tab.evaluate("[...document.querySelectorAll('#contents a')].map(a => a.getAttribute('href'))")
    assert len(links) == 3
    assert tab.evaluate(
        "[...document.querySelectorAll('#contents a')].every(a => document.querySelector('h2' + a.hash))"
    )
    assert tab.evaluate("document.querySelector('#contents').getBoundingClientRect().right") < tab.evaluate(
        "document.querySelector('h1').getBoundingClientRect().left"
    )


def test_pictures_fit_and_have_alternatives(tab, page):
    tab.look(page, 360)
    assert tab.evaluate("[...document.images].every(i => i.alt && i.complete && i.naturalWidth > 0)")
    assert tab.evaluate("[...document.images].every(i => i.getBoundingClientRect().width <= 328)")


# --- the check itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<script>console.error('broken')</script>", "console: broken"),
        ("<script>undefinedFunction()</script>", "console: ReferenceError"),
        ("<img src='http://127.0.0.1:9/x.png' alt=''>", "request: http://127.0.0.1:9/x.png"),
        ("<link rel=stylesheet href=other.css>", "request: file://"),
        ("<script>fetch('http://127.0.0.1:9/x').catch(() => 0)</script>", "request: http://127.0.0.1:9/x"),
        ("<div style='width: 2000px'>wide</div>", "px wider than the window"),
        ("<p style='margin-left: 300px; width: 300px'>wide</p>", "px wider than the window"),
        ("<script>alert(1)</script>", "a script opened a dialog"),
    ],
)
def test_the_check_sees_what_it_is_there_for(tab, tmp_path, body, fault):
    path = tmp_path / "page.html"
    path.write_text(
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>x</title><body>{body}</body></html>"
    )
    assert any(fault in found for found in tab.look(path, 360).faults())


def test_what_the_policy_blocks_is_seen_too(tab, tmp_path):
    path = tmp_path / "page.html"
    policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"
    path.write_text(
        f"<!DOCTYPE html><html>{policy}<title>x</title><img src='http://127.0.0.1:9/x'><script>alert(1)</script>"
    )
    look = tab.look(path, 1280)
    assert look.alerts == 0
    assert look.faults()


def test_a_clean_page_has_no_faults(tab, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(
        "<!DOCTYPE html><html lang=en><title>x</title><p>Fine.<img alt='' src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"
    )
    assert tab.look(path, 360).faults() == []
