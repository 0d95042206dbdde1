"""What a run leaves that did not reach its end: a page and a text for a person, results.json for a program."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecasteval.errors import RunFailed
from forecasteval.report._execute import DIED, Failure
from forecasteval.report._execute import Run as Executed
from forecasteval.report._manifest import as_json
from forecasteval.report._page import title_of
from forecasteval.report._place import save, take_place
from forecasteval.report.changes import Run
from forecasteval.report.published import TURNS
from forecasteval.report.summary import Summary

_INPUT_ERRORS = ("InputError", "CallError")
_REMEDY = {
    2: "The data or the parameters have to be mended; the sentence above says which. Then make the report again.",
    1: "Make the report again. If it fails in the same place, hand this page to whoever keeps the notebook.",
}


def error(failure: Failure) -> RunFailed:
    """The sentence of a failure as an error, with the exit code that is due."""
    return RunFailed(failure.sentence, exit_code=2 if failure.kind in _INPUT_ERRORS else 1)


def folder_of(target: Path) -> Path:
    """Where a failed run says what happened, beside the last good report."""
    return target.with_name(f"{target.name}.failed")


def keep(
    run: Executed, target: Path, aside: Path, values: Mapping[str, Any], inputs: Mapping[str, Any]
) -> Path:
    """Write the files of a failed run, and put them into their place."""
    for file, content in _files(run, target.name, values, inputs).items():
        save(aside / file, content)
    take_place(aside, place := folder_of(target))
    return place


def without_run(sentence: str, exit_code: int) -> Executed:
    """A report that failed before its first cell, or whose process was ended."""
    import nbformat

    kind = _INPUT_ERRORS[0] if exit_code == 2 else DIED
    return Executed(nbformat.v4.new_notebook(), Failure(sentence, kind, "", "", "", ""))


def _files(run: Executed, name: str, values: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, str]:
    """The files of a failed run by name; no path of the machine may be left in what is given."""
    import nbformat

    failure = run.failure
    assert failure is not None
    about = {
        "name": name,
        "failure": failure,
        "section": f' in the section "{failure.section}"' if failure.section else "",
        "place": f" ({failure.place})" if failure.place else "",
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "remedy": _REMEDY[error(failure).exit_code],
        "values": {parameter: repr(value) for parameter, value in values.items()},
    }
    record = {"organisation": inputs.get("name"), "data_until": inputs.get("until")}
    record["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    results = {"schema_version": 1, "status": "failed", "headline": failure.sentence, "error": vars(failure)}
    notebook = {"report.ipynb": nbformat.writes(run.notebook) + "\n"} if run.notebook.cells else {}
    return {
        **notebook,
        "error.txt": rendered("failure.txt.j2", about),
        "report.html": rendered("failure.html.j2", about),
        **Summary.of(name, title_of(run.notebook, name), Run(results, record)).files(),
        "results.json": as_json(results),
    }


def rendered(template: str, about: Mapping[str, Any]) -> str:
    """A page or a text from its template."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(about).translate(TURNS)
