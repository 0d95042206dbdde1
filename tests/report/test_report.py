import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pandas as pd
import pytest
from forked import elsewhere, make_forked

from forecasteval.cli import main
from forecasteval.errors import CallError, RunFailed
from forecasteval.report import _manifest
from forecasteval.report._harvest import MIME, collect, slug
from forecasteval.report._page import render
from forecasteval.report.make import find_notebook, make_report
from forecasteval.report.parameters import check_values, parameters_of, read_values
from forecasteval.report.published import csv_text, publish

PNG = base64.b64encode(b"\x89PNG not really").decode()


def output(data, metadata=None):
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata or {})


def executed(*cells):
    """A notebook as it is after a run: text cells from strings, code cells from lists of outputs."""
    made = [
        nbformat.v4.new_markdown_cell(c)
        if isinstance(c, str)
        else nbformat.v4.new_code_cell("secret = 1", outputs=c)
        for c in cells
    ]
    return nbformat.v4.new_notebook(cells=made)


def page_of(*cells, results=None):
    return render(executed(*cells), results=results or {}, provenance={}, name="small_thing")


def html(markup):
    return [output({"text/html": markup, "text/plain": "x"})]


# --- what a notebook publishes ----------------------------------------------------------------------


def test_published_results_keep_their_order_and_are_plain():
    shown = publish(
        {"z": float("nan"), "a": float("inf"), "n": 0.1 + 0.2, "when": pd.Timestamp("2026-02-28")}
    )
    content = shown._repr_mimebundle_()[MIME]["results"]
    assert list(content) == ["z", "a", "n", "when"]
    assert content["z"] is None
    assert content["a"] is None
    assert content["n"] == 0.3
    assert content["when"].startswith("2026-02-28")
    json.dumps(content, allow_nan=False)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run_is_prefixed_and_numbers_are_not(start):
    table = pd.DataFrame({"text": [f"{start}cmd|' /C calc'!A0", "fine"], "number": [-1.5, 2]})
    read = pd.read_csv(pd.io.common.StringIO(csv_text(table)), keep_default_na=False)
    shown = start.replace("\r", "\n")
    assert read["text"].tolist() == [f"'{shown}cmd|' /C calc'!A0", "fine"]
    assert read["number"].tolist() == [-1.5, 2]


def test_csv_of_awkward_tables():
    indexed = pd.DataFrame({"n": [1]}, index=pd.Index(["=a"], name="who"))
    assert csv_text(indexed) == "who,n\n'=a,1\n"
    doubled = pd.DataFrame([["=a", "b"]], columns=["x", "x"])
    assert csv_text(doubled) == "x,x\n'=a,b\n"
    assert csv_text(pd.DataFrame({"=x": pd.Categorical(["@a"])})) == "'=x\n'@a\n"
    assert (
        csv_text(pd.DataFrame({"x": [None, 1.5]})) == "x\n\n1.5\n"
        or csv_text(pd.DataFrame({"x": [None, 1.5]})) == 'x\n""\n1.5\n'
    )


def test_names_become_safe_and_unique():
    bundle = {MIME: {"results": {"a": 1}, "tables": {"../up": "x\n", "UP": "y\n"}}}
    picture = {"image/png": {"alt": "An axis", "name": "a/b"}}
    notebook = executed(
        [output(bundle), output({"image/png": PNG}, picture), output({"image/png": PNG}, picture)]
    )
    harvest = collect(notebook)
    assert harvest.results == {"a": 1}
    assert harvest.tables == {"up": "x\n", "up-2": "y\n"}
    assert list(harvest.figures) == ["a-b.png", "a-b-2.png"]
    assert harvest.figures["a-b.png"] == b"\x89PNG not really"


def test_the_answer_of_a_report_is_the_first_sentence_of_its_card():
    card = '<div class="verdict-card"><p class="badge">B</p><p class="headline"><strong>A &amp; <i>B</i></strong></p></div>'
    other = card.replace("A &amp;", "Not this")
    notebook = executed(
        [
            output({MIME: {"results": {"headline": "H"}}}),
            output({"text/html": card}),
            output({"text/html": [other]}),
        ]
    )
    assert collect(notebook).answer == "A & B"
    assert collect(executed([output({"text/html": "<p>No card</p>"})])).answer == ""


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a" * 500, "{0.__class__}", "con\x00trol", "..", "", "🎉"]
)
def test_slugs_stay_inside_a_folder(name, tmp_path):
    made = slug(name)
    assert made not in ("", ".", "..")
    assert re.fullmatch(r"[\w-]{1,60}", made)
    (tmp_path / made).write_text("")


# --- parameters -------------------------------------------------------------------------------------

CELL = """\
data: str = "data/demo"  # folder with the tables
week: int | None = 4
# how the metrics
# are weighted
metrics: list[str] = ["brier", "auc"]
level: float = 0.95
show_names: bool = False
side: Literal["one", "two"] = "two"
margin: dict[str, float] = {}
as_of: str | list[str] = "a = b"  # a text with = in it
any_list: list = []
plain = 3
where: Path = Path("x")
long: str = (
    "first"  # inside brackets
)
"""
DECLARED = parameters_of(
    {"cells": [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": CELL}]}
)


def test_every_line_of_the_cell_is_found_with_its_help():
    assert list(DECLARED) == [
        *("data", "week", "metrics", "level", "show_names", "side", "margin", "as_of", "any_list", "plain"),
        *("where", "long"),
    ]
    assert DECLARED["data"].help == "folder with the tables"
    assert DECLARED["metrics"].help == "how the metrics are weighted"
    assert DECLARED["as_of"].help == "a text with = in it"
    assert DECLARED["long"].help == "inside brackets"
    assert DECLARED["week"].value == 4


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("data", "007", "007"),
        ("data", "1e5", "1e5"),
        ("data", "no", "no"),
        ("data", "1:30", "1:30"),
        ("data", "", ""),
        ("data", '");import os #', '");import os #'),
        ("week", "7", 7),
        ("week", "none", None),
        ("week", "-3", -3),
        ("level", "0.9", 0.9),
        ("level", "1e-2", 0.01),
        ("level", "1", 1.0),
        ("show_names", "yes", True),
        ("show_names", "False", False),
        ("side", "one", "one"),
        ("metrics", "brier,auc", ["brier", "auc"]),
        ("metrics", '["a, b"]', ["a, b"]),
        ("metrics", "", []),
        ("any_list", "rep,period", ["rep", "period"]),
        ("margin", '{"brier": 0.01}', {"brier": 0.01}),
        ("as_of", "week 4, late", "week 4, late"),
        ("as_of", '["week 4", "week 8"]', ["week 4", "week 8"]),
        ("plain", "5", 5),
    ],
)
def test_text_is_read_as_what_the_notebook_declares(name, text, value):
    read = read_values(DECLARED, {name: text}, "small")[name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("week", "four"),
        ("week", "4.5"),
        ("week", "1_000"),
        ("week", "٤"),
        ("level", "nan"),
        ("level", "inf"),
        ("level", "1e999"),
        ("level", "0,95"),
        ("show_names", "1"),
        ("side", "three"),
        ("margin", '{"brier": NaN}'),
        ("margin", "0.01"),
        ("margin", '{"brier": "x"}'),
        ("metrics", "[1]"),
        ("plain", "three"),
        ("where", "y"),
    ],
)
def test_text_of_the_wrong_kind_is_refused_by_name(name, text):
    with pytest.raises(CallError, match=f"Parameter {name}"):
        read_values(DECLARED, {name: text}, "small")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data", ("a", "b")),
        ("data", Path("x")),
        ("data", pd.Timestamp("2026-01-01")),
        ("data", 1),
        ("data", type("S", (str,), {})("x")),
        ("week", True),
        ("level", float("nan")),
        ("metrics", ("brier",)),
        ("metrics", [1]),
        ("margin", {1: 0.1}),
        ("margin", {"brier": object()}),
        ("any_list", [object()]),
    ],
)
def test_only_values_that_cannot_carry_code_are_passed(name, value):
    with pytest.raises(CallError, match=f"Parameter {name}"):
        check_values(DECLARED, {name: value}, "small")


def test_an_unknown_parameter_is_answered_with_the_nearest_and_the_list():
    with pytest.raises(
        CallError, match=r"no parameter 'metric'. Did you mean metrics\? Its parameters: data, week"
    ):
        read_values(DECLARED, {"metric": "x"}, "small")
    with pytest.raises(CallError, match="no parameter"):
        check_values(DECLARED, {"__import__('os')": 1}, "small")


# --- the page ---------------------------------------------------------------------------------------


def test_the_page_has_a_title_a_language_and_links_to_its_sections():
    page = page_of(
        "# Who is *right*?", "## One & two\n\nText.", "## Three", "## Three", results={"headline": '"H"'}
    )
    assert '<html lang="en">' in page
    assert "<title>Who is *right*?</title>" in page
    assert re.search(r'<meta content="&quot;H&quot;" name="description"', page) or "content='\"H\"'" in page
    links = re.findall(r'<li><a href="#([^"]+)">([^<]+)</a>', page)
    assert [name for _, name in links] == ["One &amp; two", "Three", "Three"]
    assert len({target for target, _ in links}) == 3
    assert all(page.count(f'id="{target}"') == 1 for target, _ in links)


def test_two_sections_need_no_contents():
    assert "<nav" not in page_of("# T", "## A", "## B")


def test_no_code_no_stderr_no_errors_no_published_data_on_the_page():
    stderr = nbformat.v4.new_output("stream", name="stderr", text="100%|####| 3/3 secret path")
    stdout = nbformat.v4.new_output("stream", name="stdout", text="plain <b>words</b>")
    error = nbformat.v4.new_output("error", ename="E", evalue="v", traceback=["secret frame"])
    published = output({MIME: {"results": {"a": 1}}, "text/plain": "Published for results.json"})
    page = page_of("# T", [stderr, stdout, error, published])
    assert "secret" not in page
    assert "Published" not in page
    assert "plain &lt;b&gt;words&lt;/b&gt;" in page


def test_cells_for_the_notebook_only_are_left_out():
    notebook = executed("# T", "In JupyterLab, press ...")
    notebook.cells[1].metadata["tags"] = ["notebook-only"]
    assert "JupyterLab" not in render(notebook, results={}, provenance={}, name="n")


def test_pictures_carry_their_text_alternative():
    about = {"image/png": {"alt": 'Model < reps, "by week"', "caption": "Below 0 <model> is better"}}
    page = page_of("# T", [output({"image/png": PNG + "\n", "text/plain": "x"}, about)])
    assert re.search(r'<img alt=("|\').*Model &lt; reps', page)
    assert f"data:image/png;base64,{PNG}" in page
    assert "<figcaption>Below 0 &lt;model&gt; is better</figcaption>" in page


def test_tables_scroll_in_a_frame_and_numbers_stand_right():
    frame = pd.DataFrame(
        {"segment": ["<b>x</b>", "y"], "deals": [1200, 3], "share": ["12 %", "−0.3"], "w": ["a", "b"]}
    )
    page = page_of("# T", html(frame.to_html()))
    assert page.count('class="scroll wide"') == 1
    assert 'role="region"' in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert '<td class="num">1200</td>' in page
    assert '<td class="num">−0.3</td>' in page
    assert "<td>a</td>" in page


def test_names_of_forecasters_are_words_but_where_they_are_to_be_typed():
    page = page_of(
        "# T",
        html(
            "<p>model beats vendor_x and rep_forecast.</p><p>A frozen model; a forecast named rep_forecast.</p>"
        ),
        html(
            "<table><tr><th>Who</th></tr><tr><td>rep_forecast</td></tr><tr><td>model better</td></tr></table>"
        ),
        html("<p>Set <code>show_names</code>.</p>"),
        results={"candidate": "vendor_x", "baseline": "rep_forecast"},
    )
    assert "<p>The model beats Vendor X and the reps' own forecast.</p>" in page
    assert "<p>A frozen model; a forecast named rep_forecast.</p>" in page
    assert "<td>Reps' own forecast</td>" in page
    assert "<td>Model better</td>" in page
    assert "<code>show_names</code>" in page


def test_a_section_without_anything_to_say_is_one_line_and_an_appendix_is_folded():
    notebook = executed(
        "# T", "## Where\n\nBy segment.", html('<p class="note absent">None was named.</p>'), html(""),
        "## When", html("<p>Early.</p>"), "## How it was done", html("<p>By hand.</p>"),
    )  # fmt: skip
    notebook.cells[-2].metadata["tags"] = ["appendix"]
    page = render(notebook, results={}, provenance={}, name="small_thing")
    assert "<li><strong>Where</strong>. None was named.</li>" in page
    assert "By segment." not in page
    assert page.count("<h2") == 3
    folded = page.partition('<details class="appendix">')[2].partition("</details>")[0]
    assert "How it was done" in folded
    assert "By hand." in folded
    assert "Early." not in folded


def test_an_appendix_without_anything_to_say_does_not_fold_the_section_after_it():
    notebook = executed(
        "# T", "## Spare", html('<p class="note absent">Nothing.</p>'), "## Why", html("<p>Because.</p>"),
        "## How it was done", html("<p>By hand.</p>"),
    )  # fmt: skip
    for cell in (notebook.cells[1], notebook.cells[-2]):
        cell.metadata["tags"] = ["appendix"]
    page = render(notebook, results={}, provenance={}, name="small_thing")
    assert page.count('<details class="appendix">') == 1
    assert page.index("Because.") < page.rindex("What these data cannot tell") < page.index("By hand.")


def test_the_first_screen_says_whose_data_of_which_time_and_whom_to_ask():
    about = {"organisation": 'A</style>"B', "periods": ["Q1", "Q2", "Q3"], "data_until": "2026-03-20"}
    about |= {"inputs": "It compares.", "contact": "Ann, RevOps"}
    card = html('<div class="verdict-card better"><p>yes</p></div>')
    page = render(executed("# T", card), results={"about": about}, provenance={}, name="small_thing")
    assert 'A&lt;/style&gt;"B · Q1 to Q3 · data until 20 March 2026</p>' in page
    assert "It compares. It judges forecasts, not people. Ask Ann, RevOps.</p></div>" in page
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert (
        '@top-left { content: "T\\20 ' in style
    )  # the running head of a print, which no name can break out of
    assert style.rstrip().endswith("}")


def test_a_table_can_be_taken_along_and_no_two_are_called_alike():
    table = "<table><tr><th>Who</th><th>n</th></tr><tr><td>=1+1</td><td>−3</td></tr><tr><td>b</td><td>4</td></tr></table>"
    page = page_of("# T", "## Scores", html(table), html(table))
    regions = re.findall(r'aria-label="(Table: [^"]*)"', page)
    assert regions == ["Table: Scores", "Table: Scores, 2"]
    links = re.findall(r'download="([^"]+)" href="data:text/csv;charset=utf-8,([^"]+)"', page)
    assert [name for name, _ in links] == ["scores.csv", "scores-2.csv"]
    assert unquote(links[0][1]) == "Who,n\n'=1+1,-3\nb,4\n"


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.mark.parametrize(
    "markup",
    [
        HOSTILE,
        "<p onclick=alert(1)>x</p>",
        "<a href='java\nscript:alert(1)'>x</a>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<meta http-equiv=refresh content='0;url=http://example.org'>",
        "<form action=http://example.org><input name=a></form>",
        "<svg><script>alert(1)</script><a xlink:href='javascript:alert(1)'>x</a></svg>",
        "<link rel=stylesheet href=http://example.org/a.css><style>@import 'http://example.org'</style>",
        "<base href=http://example.org><object data=http://example.org></object><embed src=http://example.org>",
    ],
)
def test_markup_that_acts_is_taken_out_even_where_a_value_was_not_escaped(markup):
    body = page_of("# T", html(f"<div>kept {markup}</div>")).partition("<body>")[2]
    assert "kept" in body
    assert not re.search(r"<(script|iframe|meta|form|input|link|style|base|object|embed)\b", body)
    assert not re.search(r"\son\w+=|javascript:|example\.org", body)


def test_text_from_data_in_markdown_outputs_stays_text():
    page = page_of("# T", [output({"text/markdown": f"**Best:** {HOSTILE} & [x](javascript:alert(1))"})])
    assert "<strong>Best:</strong>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "javascript:" not in page.partition("<body>")[2]


def test_the_page_allows_no_script_and_no_host():
    page = page_of("# T", "Text", html("<p>x</p>"))
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert "<script" not in page
    assert not re.search(r"https?://", page)
    assert "@import" not in page
    assert "url(" not in page


# --- runs -------------------------------------------------------------------------------------------

GOOD = (
    "# Who is right?",
    'region: str = "EMEA"  # region\nweeks: list[int] = [4]\nseed: int = 0',
    "## The answer",
    """
import base64, io, sys
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from forecasteval.report import publish
print("to stderr", file=sys.stderr)
drawn = np.random.default_rng(seed).normal(size=3)
figure, axis = plt.subplots(figsize=(2, 1))
axis.plot(drawn)
figure.savefig(buffer := io.BytesIO())
plt.close(figure)
png = base64.b64encode(buffer.getvalue()).decode()
display({"image/png": png}, raw=True, metadata={"image/png": {"alt": "A line", "name": "line"}})
""",
    "pd.DataFrame({'region': [region], 'weeks': [len(weeks)]})",
    "publish({'headline': f'{region} is ahead', 'drawn': list(drawn), 'set': sorted({'b', 'a'})}, {'by week': pd.DataFrame({'w': weeks})})",
)


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def good(write_notebook, tmp_path):
    return make_forked(write_notebook(*GOOD), out=tmp_path / "out", texts={"weeks": "4,8"})


def test_a_report_folder_is_complete_and_repeats_to_the_byte(good, write_notebook, tmp_path):
    assert good == tmp_path / "out" / "small"
    first = files_of(good)
    assert set(first) == {
        *("report.html", "report.ipynb", "results.json", "manifest.json"),
        *("tables/by-week.csv", "figures/line.png"),
        *("summary.txt", "summary.md", "summary.json"),
    }
    assert first["tables/by-week.csv"] == b"w\n4\n8\n"
    assert first["figures/line.png"].startswith(b"\x89PNG")
    assert list(json.loads(first["results.json"])) == ["status", "data_problems", "headline", "drawn", "set"]

    record = json.loads(first["manifest.json"])
    assert record["parameters"] == {"region": "EMEA", "weeks": [4, 8], "seed": 0}
    assert record["seed"] == 0
    assert record["versions"]["python"].startswith("3.")
    assert record["versions"]["papermill"]
    assert record["started"] <= record["finished"]

    page = first["report.html"].decode()
    assert "EMEA is ahead" in page
    assert "to stderr" not in page
    assert "savefig" not in page
    assert 'alt="A line"' in page
    executed_notebook = json.loads(first["report.ipynb"])
    nbformat.validate(executed_notebook)
    assert str(tmp_path) not in first["report.ipynb"].decode() + page + first["manifest.json"].decode()

    again = files_of(make_report(write_notebook(*GOOD), out=tmp_path / "out", texts={"weeks": "4,8"}))
    assert again["results.json"] == first["results.json"]
    assert again["tables/by-week.csv"] == first["tables/by-week.csv"]
    assert not [p for p in (tmp_path / "out").iterdir() if p != good]


def test_a_failed_run_leaves_the_last_report_and_says_why(good, write_notebook, tmp_path):
    before = files_of(good)
    broken = write_notebook(*GOOD[:3], "## Where it breaks", "x = 1", "raise ValueError('No deals in EMEA.')")
    with pytest.raises(RunFailed, match=r"^No deals in EMEA\.\n") as failed:
        make_forked(broken, out=tmp_path / "out")
    assert failed.value.exit_code == 1
    assert files_of(good) == before
    left = files_of(tmp_path / "out" / "small.failed")
    summaries = {"summary.txt", "summary.md", "summary.json"}
    assert set(left) == {"report.ipynb", "report.html", "results.json", "error.txt"} | summaries
    assert json.loads(left["results.json"])["status"] == "failed"
    story = left["error.txt"].decode()
    assert 'failed in the section "Where it breaks" (cell 6 of 6)' in story
    assert "No deals in EMEA." in story
    assert "\x1b" not in story

    make_forked(write_notebook(*GOOD), out=tmp_path / "out")
    assert not (tmp_path / "out" / "small.failed").exists()


@pytest.mark.parametrize(
    ("source", "message", "code"),
    [
        ("from forecasteval.errors import InputError\nraise InputError([])", "InputError", 2),
        ("import sys\nsys.exit(0)", r"ended itself in cell 2 of 3 \(sys.exit\)", 1),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "process was ended in cell 2 of 3", 1),
        ("{}['missing']", r"^KeyError: 'missing'\n", 1),
        ("from forecasteval.errors import EngineStopped\nraise EngineStopped('Gone.')", "^Gone", 1),
        ("for", "SyntaxError", 1),
    ],
)
def test_every_way_to_stop_early_is_a_failure(write_notebook, tmp_path, source, message, code):
    with pytest.raises(RunFailed, match=message) as failed:
        make_report(write_notebook("a: int = 1", source, "b = 2"), out=tmp_path / "out")
    assert failed.value.exit_code == code
    assert (tmp_path / "out" / "small.failed" / "error.txt").is_file()
    assert not (tmp_path / "out" / "small").exists()


def test_values_reach_the_notebook_as_they_are(write_notebook, tmp_path):
    awkward = '\'"\\\n{x}\t§ {{}} """ ); raise SystemExit #'
    cell = "name: str = ''\nlimits: dict[str, float] = {}\nmaybe: int | None = 1"
    path = write_notebook(
        cell, "from forecasteval.report import publish\npublish({'all': [name, limits, maybe]})"
    )
    values = {"name": awkward, "limits": {awkward: 0.5}, "maybe": None}
    folder = make_forked(path, out=tmp_path / "{out} {0}", parameters=values)
    assert json.loads((folder / "results.json").read_text())["all"] == [awkward, {awkward: 0.5}, None]


def test_the_kernel_is_of_this_environment(write_notebook, tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    command = {
        "argv": ["/nowhere/python", "{connection_file}"],
        "display_name": "Other",
        "language": "python",
    }
    (spec / "kernel.json").write_text(json.dumps(command))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    cell = "import sys\nfrom forecasteval.report import publish\npublish({'python': list(sys.prefix)})"
    folder = make_report(write_notebook("a: int = 1", cell), out=tmp_path / "out")
    # letter by letter, for a path of the machine is not published
    assert json.loads((folder / "results.json").read_text())["python"] == list(sys.prefix)
    assert os.environ["JUPYTER_PREFER_ENV_PATH"] == "0"


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.mark.parametrize(
    ("theirs", "expected"), [({}, ["1", "1", "1"]), ({"OMP_NUM_THREADS": "3"}, ["3", None, None])]
)
def test_a_kernel_has_one_thread_for_algebra_unless_the_user_says_otherwise(
    write_notebook, tmp_path, monkeypatch, theirs, expected
):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    cell = f"import os\nfrom forecasteval.report import publish\npublish({{'threads': [os.environ.get(n) for n in {THREADS}]}})"
    folder = make_report(write_notebook("a: int = 1", cell), out=tmp_path / "out")
    assert json.loads((folder / "results.json").read_text())["threads"] == expected
    assert dict(os.environ) == before


def test_a_check_sees_every_known_value_before_anything_runs(write_notebook, tmp_path):
    seen = []

    def check(values, folder):
        seen.append((values, folder))
        raise CallError("The region is closed.")

    path = write_notebook("region: str = 'EMEA'\nweeks: list[int] = [4]\nwhere: str = print('run')", "1 / 0")
    with pytest.raises(CallError, match="The region is closed"):
        make_report(path, out=tmp_path / "out", texts={"weeks": "8"}, check=check)
    assert seen == [({"region": "EMEA", "weeks": [8]}, None)]
    assert not (tmp_path / "out").exists()


def test_somebody_elses_folder_is_never_replaced(write_notebook, tmp_path):
    (tmp_path / "out" / "small").mkdir(parents=True)
    (tmp_path / "out" / "small" / "thesis.txt").write_text("years of work")
    with pytest.raises(CallError, match="is not a report"):
        make_report(write_notebook(*GOOD), out=tmp_path / "out")
    assert (tmp_path / "out" / "small" / "thesis.txt").is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere.ipynb", "No such notebook"), ("smal", r"Did you mean small\?")],
)
def test_an_unknown_notebook_is_answered_with_what_there_is(
    write_notebook, tmp_path, monkeypatch, name, message
):
    (tmp_path / "notebooks").mkdir()
    write_notebook(*GOOD).rename(tmp_path / "notebooks" / "small.ipynb")
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")
    with pytest.raises(CallError, match=message):
        make_report(name, out=tmp_path / "out")


def test_two_runs_at_once_do_not_mix(write_notebook, tmp_path):
    path = write_notebook(
        "who: str = ''",
        "import time; time.sleep(.5)",
        "from forecasteval.report import publish\npublish({'who': who})",
    )

    def run(n):
        out = tmp_path / f"out{n}"
        elsewhere(make_report, path, out=out, texts={"who": str(out)})
        return json.loads((out / "small" / "results.json").read_text())["who"] == str(out)

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(run, range(3)))


@pytest.mark.parametrize(("told", "code"), [(signal.SIGTERM, 143), (signal.SIGALRM, 1)])
def test_a_run_that_is_told_to_stop_cleans_up(write_notebook, tmp_path, told, code):
    """By somebody, or by the clock of --time-limit."""
    path = write_notebook(
        "a: int = 1",
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(__import__('os').getpid()))",
        "import time; time.sleep(60)",
    )
    call = "import sys; from forecasteval.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", call, "report", path, "--out", tmp_path / "out"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    deadline = time.monotonic() + 120
    while (
        not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()) and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    kernel = int((tmp_path / "pid").read_text())
    process.send_signal(told)
    assert process.wait(90) == code
    # who stops a run knows that it has none; a run that took too long says where it was
    left = ["small.failed"] if told == signal.SIGALRM else []
    assert [place.name for place in (tmp_path / "out").iterdir()] == left
    assert not list(tmp_path.glob("forecasteval-*"))
    for _ in range(600):
        try:
            os.kill(kernel, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the kernel lives on")


def test_a_report_that_took_too_long_leaves_the_last_one(good, write_notebook, tmp_path, capsys):
    before = files_of(good)
    path = write_notebook("a: int = 1", "import time; time.sleep(60)")
    assert (
        main(["report", str(path), "--out", str(tmp_path / "out"), "--time-limit", "6"]) == 1
    )  # a busy machine starts a kernel in seconds
    said = capsys.readouterr().err
    assert said.startswith(
        "Stopped after 6 seconds. For longer: --time-limit SECONDS. It was in cell 2 of 2 then.\n"
    )
    assert sorted(place.name for place in (tmp_path / "out").iterdir()) == ["small", "small.failed"]
    assert files_of(good) == before


def test_a_notebook_of_the_package_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_notebook("plan_pilot").name == "plan_pilot.ipynb"
    with pytest.raises(CallError, match=r"Did you mean plan_pilot\?"):
        find_notebook("plan_pilo")


# --- the input --------------------------------------------------------------------------------------

READS = (
    "data: str = 'nowhere'\nseed: int = 0",
    "from forecasteval.report import publish\npublish({'data': data})",
)


@pytest.fixture
def acme(tmp_path):
    """A data folder whose newest record is of 2026-03-01."""
    folder = tmp_path / "acme"
    folder.mkdir()

    def write(rows):
        deals = pd.DataFrame(
            {"deal_id": [f"D{n}" for n in range(rows)], "created_on": "2026-03-01", "outcome": "open"}
        )
        deals.to_csv(folder / "deals.csv", index=False)
        return folder

    return write


def test_stale_and_shrunken_input_is_refused_by_name_unless_told_otherwise(write_notebook, tmp_path, acme):
    path, out = write_notebook(*READS), tmp_path / "out"
    folder = make_forked(path, out=out, data=acme(10), today="2026-03-10")
    record = json.loads((folder / "manifest.json").read_text())
    assert record["rows"]["deals"] == 10
    assert record["parameters"]["data"] == "acme"  # the organisation's name, not where its data lie
    (file,) = record["inputs"]
    assert (file["file"], file["rows"], len(file["sha256"])) == ("deals.csv", 10, 64)
    before = files_of(folder)

    with pytest.raises(
        RunFailed, match=r"newest record of 2026-03-01, 30 days before[^\n]*--allow-stale"
    ) as stale:
        make_forked(path, out=out, data=acme(10), today="2026-03-31")
    assert stale.value.exit_code == 2

    with pytest.raises(
        RunFailed, match=r"table deals: found 7 rows; expected at least 80%[^\n]*--allow-shrunk"
    ):
        make_forked(path, out=out, data=acme(7), today="2026-03-10")
    assert files_of(folder) == before

    allowed = make_forked(
        path, out=out, data=acme(7), today="2026-03-31", allow_stale=True, allow_shrunk=True
    )
    record = json.loads((allowed / "manifest.json").read_text())
    assert record["allowed"] == ["stale", "shrunk"]
    assert record["rows"]["deals"] == 7
    assert "Checks that were left out: stale, shrunk" in (allowed / "report.html").read_text()


def test_the_data_folder_must_be_there_and_be_given_once(write_notebook, tmp_path, acme):
    path = write_notebook(*READS)
    with pytest.raises(
        CallError, match=r"No such data folder, here or above: nowhere. Say which with --data."
    ):
        make_report(path, out=tmp_path / "out")
    with pytest.raises(CallError, match="given twice"):
        make_report(path, out=tmp_path / "out", data=acme(3), texts={"data": "other"})
    with pytest.raises(CallError, match="no parameter 'data'"):
        make_report(write_notebook("a: int = 1", "a"), out=tmp_path / "out", data=acme(3))


def test_rows_hashes_and_commits_of_the_manifest(tmp_path):
    (tmp_path / "a.csv").write_text('x,y\n1,"two\nlines"\n\n3,4\n')
    (tmp_path / "b.yaml").write_text("name: x\n")
    (tmp_path / ".hidden.csv").write_text("x\n")
    pd.DataFrame({"x": [1, 2, 3]}).to_parquet(tmp_path / "c.parquet")
    assert [(f["file"], f["rows"]) for f in _manifest.input_files(tmp_path)] == [
        ("a.csv", 2),
        ("b.yaml", None),
        ("c.parquet", 3),
    ]
    assert _manifest.git_commit(tmp_path) is None
    commit = ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "--allow-empty", "-m", "x"]
    for words in (["init", "-q"], ["add", "b.yaml"], commit):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    assert re.fullmatch(r"[0-9a-f]{40}", _manifest.git_commit(tmp_path))
    (tmp_path / "b.yaml").write_text("name: y\n")
    assert _manifest.git_commit(tmp_path).endswith("-dirty")
    (tmp_path / "manifest.json").write_text('{"rows": {"deals": "many", "calls": 3}}')
    assert _manifest.last_rows(tmp_path) == {"calls": 3}
