import xml.etree.ElementTree as ET

import nbformat
import numpy as np

from forecasteval.report import figures
from forecasteval.report._harvest import collect
from forecasteval.report._page import render
from forecasteval.report.figures import Absent, Picture

HOSTILE = '<script>alert(1)</script> --> $a_{b}$ & "q"'


def drawn():
    with figures.canvas(2) as (figure, ax):
        figures.title(figure, HOSTILE)
        ax.plot([1, 2], label=HOSTILE)
        ax.set_xlabel(HOSTILE)
    return Picture("by week", HOSTILE, figure)


def test_a_picture_leaves_as_png_and_as_svg_and_stands_on_the_page_once():
    data, about = drawn()._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=data, metadata=about)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=[output, output])])
    found = collect(notebook).figures
    assert list(found) == ["by-week.png", "by-week.svg", "by-week-2.png", "by-week-2.svg"]
    root = ET.fromstring(found["by-week.svg"])
    assert root.tag.endswith("svg")
    assert not [tag for tag in root.iter() if tag.tag.endswith("}script")]
    page = render(notebook, results={}, provenance={}, name="n")
    assert page.count("<img") == 2
    assert "<svg" not in page


def test_where_nothing_is_drawn_the_reason_stands_and_without_one_nothing():
    pages = []
    for why in ("Too <few>.", ""):
        output = nbformat.v4.new_output("display_data", data=Absent(why)._repr_mimebundle_())
        cells = [nbformat.v4.new_markdown_cell("# T"), nbformat.v4.new_code_cell("x", outputs=[output])]
        pages.append(render(nbformat.v4.new_notebook(cells=cells), results={}, provenance={}, name="n"))
    assert '<p class="note absent">Too &lt;few&gt;.</p>' in pages[0]
    assert 'class="note' not in pages[1]


def test_the_same_picture_is_the_same_file_and_both_are_laid_out_alike():
    first, second = drawn(), drawn()
    assert first._repr_mimebundle_() == second._repr_mimebundle_()
    place = np.array([axis.get_position().bounds for axis in first.figure.axes])
    first.svg()
    assert np.allclose(place, [axis.get_position().bounds for axis in first.figure.axes], atol=0)
