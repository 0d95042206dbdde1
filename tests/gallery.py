"""One of everything that a report can show, as an executed notebook: looked at in a browser by the tests."""

import base64
import struct
import zlib

import nbformat
import pandas as pd

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def png(width, height):
    """A plain blue picture."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\x00" + b"\x0a\x5a\x91" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _shown(kind, content, about=None):
    return nbformat.v4.new_output(
        "display_data", data={kind: content, "text/plain": "x"}, metadata={kind: about or {}}
    )


def _card(state, badge, headline):
    return (
        f'<div class="verdict-card {state}"><p class="badge">{badge}</p><p class="headline">{headline}</p>'
        "<p>With data of this size a true difference of 0.010 would be found four times in five.</p>"
        "<p>Weakest point: the 3 largest of 24 hold 41% of the deals.</p></div>"
    )


def _table(css, head, rows, text_columns):
    def cells(row, tag):
        return "".join(
            f"<{tag}{'' if at in text_columns else ' class=num'}>{value}</{tag}>"
            for at, value in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<table class="{css}"><thead><tr>{cells(head, "th")}</tr></thead><tbody>{body}</tbody></table>'


CARDS = {
    "better": (
        "model is better",
        "model is better than rep_forecast: Brier 0.021 lower (95% interval 0.009 to 0.033).",
    ),
    "same": ("Practically the same", "model and rep_forecast are practically the same: difference −0.001."),
    "unsure": (
        "Not enough evidence",
        "Not enough evidence to tell model from rep_forecast: −0.034 to 0.012.",
    ),
    "cannot": ("Cannot be compared", "model and rep_forecast cannot be compared: model gives a rank score."),
}
METRICS = _table(
    "metrics",
    ["Score", "model", "rep_forecast", "Difference", "95% interval", "Verdict"],
    [
        ["Brier score (headline)", "0.142", "0.163", "−0.021", "−0.033 to −0.009", "model better"],
        ["AUC", "0.81", "0.78", "0.03", "−0.01 to 0.07", "not enough evidence"],
    ],
    {0, 5},
)
FLOW = _table(
    "flow",
    ["Step", "Left out because", "Left out", "Deals"],
    [
        ["deals in the export", "", "", "3,872"],
        ["open at the end of week 4", "closed before, or created later", "1,020", "2,852"],
        ["both forecasters spoke", "no probability from rep_forecast", "542", "2,310"],
    ],
    {0, 1},
)
PROVENANCE = _table("provenance", ["What", "Value"], [["metrics", "['brier', 'log_score']"]], {0, 1})
GLOSS = '<dl class="gloss"><dt>model</dt><dd>a logistic regression, refitted each period</dd></dl>'
METHOD = '<dl class="method"><dt>Interval</dt><dd>delete-one jackknife over reps (CR3J)</dd></dl>'
CAVEATS = (
    '<ul class="caveats"><li><strong>Carried.</strong> The owner of 212 deals (9%) is of today.</li></ul>'
)
NOTE = '<p class="note">The table came matched; there was no history to check.</p>'
DETAILS = f"<details><summary>2 checks of the export</summary>{FLOW}</details>"


def notebook():
    """The gallery, run."""
    wide = pd.DataFrame(
        {"segment": [HOSTILE, "=1+1", "x" * 90], **{f"week {n}": [n * 1.5] * 3 for n in range(1, 16)}}
    )
    picture = {"alt": "A blue picture", "name": "blue", "caption": "Below 0 the model is better."}
    html = [
        *(_card(state, *words) for state, words in CARDS.items()),
        *(GLOSS, METRICS, FLOW, wide.to_html(), DETAILS, METHOD, CAVEATS, NOTE, PROVENANCE),
    ]
    text = nbformat.v4.new_markdown_cell
    outputs = [
        *(_shown("text/html", markup) for markup in html),
        _shown("image/png", base64.b64encode(png(1400, 300)).decode(), picture),
        _shown("text/markdown", f"**Best segment:** {HOSTILE}"),
        nbformat.v4.new_output("stream", name="stdout", text="a_printed_line_without_a_space" * 8),
        nbformat.v4.new_output("stream", name="stderr", text="not for readers"),
    ]
    shown = nbformat.v4.new_code_cell("show(everything)", outputs=outputs)
    return nbformat.v4.new_notebook(
        cells=[
            text("# Whose deal forecasts are better?\n\nTwo forecasters spoke about the same deals."),
            text(
                "## How sure, and about what\n\nText with a [link](#which-deals), `code` and a list:\n\n- one\n- two"
            ),
            text("## Which deals"),
            shown,
            text(
                "## A heading of a length that no phone can show in one line, with averyveryverylongwordinit"
                + "x" * 40
            ),
        ]
    )


MANIFEST = {
    "notebook": {"name": "gallery", "sha256": "0" * 64},
    "parameters": {"region": HOSTILE, "metrics": ["brier"]},
    "inputs": [{"file": f"export/{HOSTILE}.csv", "sha256": "0" * 64, "bytes": 1, "rows": 3872}],
    "rows": {"deals": 3872},
    "allowed": ["stale"],
    "finished": "2026-03-01T10:00:00+00:00",
    "versions": {"python": "3.12.1", "deal-forecasteval": "0.1.0"},
    "git_commit": "0" * 40 + "-dirty",
}
