"""The command line: reads what was asked for, calls the package, says what happened. No logic of its own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from typer.core import TyperGroup

from forecasteval.compare.verdicts import CANNOT
from forecasteval.compare.wording import count
from forecasteval.errors import CallError, InputError, Problem, Refusal, RunFailed, told
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.report.brief import verdict_line
from forecasteval.report.gate import Condition
from forecasteval.report.lab import open_lab
from forecasteval.report.make import find_notebook, make_report
from forecasteval.report.messenger import Messenger
from forecasteval.report.parameters import parameters_of, read_values
from forecasteval.report.time_limit import time_limit as limited
from forecasteval.report.verify import verify
from forecasteval.scores.probability import DEFAULT_METRICS
from forecasteval.sources import flat_table, flat_table_draft, outcomes, totals
from forecasteval.sources import folder as folders
from forecasteval.sources.dialect import dialect_of
from forecasteval.sources.points import PointsTable, explained
from forecasteval.sources.system import SYSTEMS, guess
from forecasteval.studies import question_of
from forecasteval.studies.vendor_claim import blind_pack, questionnaire
from forecasteval.studies.vendor_claim import claim as claims
from forecasteval.tables.document import read_document
from forecasteval.tables.memory import give_back
from forecasteval.tables.organisation import Org, comparable, newest_record, stale
from forecasteval.tables.schemas import TABLES
from forecasteval.tables.settings import Settings, check_options, read_settings

_DEBUG = "FORECASTEVAL_DEBUG"
_SETTINGS = "organisation.yaml"
_OPTIONS = {
    "name": "--name",
    "timezone": "--timezone",
    "fiscal_year_start_month": "--fiscal-start-month",
    "system": "import",
}
# only data can judge these
_TOLD_BY_DATA = {"candidate", "baseline", "also", "scores", "as_of", "segment", "segments"}

_PLAIN: Any = {"rich_markup_mode": None, "add_completion": False, "no_args_is_help": True}
_app = typer.Typer(
    help="Compare deal forecasts with the reps' own, on the same deals at the same moment.",
    epilog="Exit codes: 0 done, 1 a run failed, 2 the input or the call is wrong, "
    "3 what was asked cannot be compared, 4 a condition of --fail-on came true.",
    pretty_exceptions_enable=False,
    **_PLAIN,
)


class _Guessing(TyperGroup):
    """`import FOLDER` is `import export FOLDER`: the files show the system."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A folder in the place of a command."""
        if args and args[0] not in self.commands and (os.sep in args[0] or Path(args[0]).exists()):
            args = ["export", *args]
        return super().resolve_command(ctx, args)


_importers = typer.Typer(
    help="Turn an export into tidy tables: `forecasteval import DIR` finds out which system it is of.",
    cls=_Guessing,
    **_PLAIN,
)
_app.add_typer(_importers, name="import")


def _option(metavar: str, help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, **more)


def _flag(name: str, help: str, **more: Any) -> Any:
    return typer.Option(name, help=help, **more)


_SET = "A parameter of the notebook; of a claim to freeze: what is agreed. Repeatable."
_GATE = """Exit with 4 if this came true, such as "verdict == 'baseline better'" or "low > 0"; repeatable."""
_HAND_ON = "Run COMMAND (no shell) with the summary on its standard input; secrets come from the environment."
_PAPER = (
    "Write report.pdf as well, and appendix.pdf with what is folded (extra share; Pango from the system)."
)
_LONGEST = "Give up a report or an import after so many seconds, with exit code 1 [3600]; 0 = never."
_INTO = _option("DIR", "Data folder to write, as data/acme.", "--out")
_Limit = Annotated[float, _option("SECONDS", _LONGEST, "--time-limit")]
_Stale = Annotated[bool, _flag("--allow-stale", "Report on input that is too old.")]
_Shrunk = Annotated[bool, _flag("--allow-shrunk", "Report on input much shorter than last time.")]
_FailOn = Annotated[list[str] | None, _option("CONDITION", _GATE, "--fail-on")]
_Notify = Annotated[str | None, _option("COMMAND", _HAND_ON, "--notify")]
_Json = Annotated[bool, _flag("--json", "Print the summary as JSON.")]
_Pdf = Annotated[bool, _flag("--pdf", _PAPER)]
_Xlsx = Annotated[bool, _flag("--xlsx", "Write tables.xlsx as well, a sheet per table (extra share).")]
_Parameter = Annotated[list[str] | None, _option("NAME VALUE", _SET, "-p", "--parameter")]
_HOUR = 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 done, 1 a run failed, 2 the input or the call is wrong, 3 what was asked cannot be compared, 4 a gate came true.

    Errors become sentences on stderr. Without `arguments`, those of the process are taken.
    """
    words = _joined_parameters(sys.argv[1:] if arguments is None else arguments)
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a stopped run cleans up
        _app(words, prog_name="forecasteval")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        message, code = _told(error)
        print(message, file=sys.stderr)
        return code
    return 0


def _joined_parameters(words: Sequence[str]) -> list[str]:
    """`-p name value` as one word `name=value`: two values per option are more than typer takes in a list."""
    joined: list[str] = []
    rest = iter(words)
    for word in rest:
        joined.append(word)
        if word in ("-p", "--parameter"):
            name = next(rest, None)
            if name is not None and "=" not in name:
                value = next(rest, None)
                name = name if value is None else f"{name}={value}"
            joined += [] if name is None else [name]
    return joined


def _told(error: Exception) -> tuple[str, int]:
    text, code = told(error)
    if isinstance(error, InputError):
        return _listed(error.problems), code
    known = isinstance(error, Refusal | RunFailed | OSError)
    return text if known else f"{text}\nWhere this happened: run again with {_DEBUG}=1.", code


def _say(doing: str) -> None:
    """What is being done, for somebody who watches."""
    if sys.stderr.isatty():
        print(doing, file=sys.stderr)


def _listed(problems: Sequence[Problem]) -> str:
    return "\n".join(textwrap.indent(str(p), "  ").replace("  ", "- ", 1) for p in problems)


@_app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, _flag("--version", "Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"forecasteval {installed('deal-forecasteval')}")
        raise typer.Exit


# --- import -----------------------------------------------------------------------------------------


_EXPORT = typer.Argument(metavar="DIR", help="Folder with the exported files; data/README.md says which.")
_NAMED = "Name of the organisation in reports."


def _importer(system: str | None, words: str) -> Callable[..., None]:
    """The command that imports the export of one system, or of whichever its files show."""

    def command(
        export: Annotated[Path, _EXPORT],
        out: Annotated[Path, _INTO],
        timezone: Annotated[
            str | None, _option("ZONE", "Zone that days are counted in, as Europe/Berlin [UTC].")
        ] = None,
        fiscal_start_month: Annotated[
            int | None, _option("MONTH", "First month of the fiscal year, 1 to 12 [1].")
        ] = None,
        name: Annotated[str | None, _option("NAME", _NAMED)] = None,
        time_limit: _Limit = _HOUR,
    ) -> None:
        options = {
            "name": name, "timezone": timezone, "fiscal_year_start_month": fiscal_start_month,
            "system": None if system is None or guess(export) == system else system,
        }  # fmt: skip
        given = {key: value for key, value in options.items() if value is not None}
        with limited(time_limit):
            _import_export(system, export, out, given)

    command.__doc__ = f"Import {words}: its objects as CSV, or a folder of dated copies."
    return command


for _system in SYSTEMS:
    _importers.command(_system)(_importer(_system, f"an export of {dialect_of(_system).name}"))
_importers.command("export")(_importer(None, "an export of the system that its files show"))


def _import_export(system: str | None, export: Path, out: Path, given: dict[str, Any]) -> None:
    new = _new_settings(export, out, given)
    _say(f"Importing {export} ...")
    if _same(export, out / "export"):
        if new:
            # an export that cannot be read leaves no settings behind
            folders.import_export(export, system, Settings(**new))
        _write_settings(out, new)
    else:
        found = read_settings(out)[0] if (out / _SETTINGS).exists() else None
        org = folders.import_export(export, system, Settings(**new) if new else found)
        _write_settings(out, new)
        folders.write_tables(org, out)
        del org  # the tables are read again from where they were written
        give_back()
    _written(folders.read(out), out)


def _new_settings(export: Path, out: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The settings of the call that no file has yet; refuses wrong ones and those that a file contradicts."""
    wrong = check_options(given, _OPTIONS)
    if wrong:
        raise InputError(wrong)
    if (out / "export").is_dir() and not _same(export, out / "export"):
        raise CallError(f"{out} has an export/ of its own: put the new files there, or choose another --out.")
    for path in (export / _SETTINGS, out / _SETTINGS):
        if not given or not path.exists():
            continue
        document = read_document(path, "a YAML file", "Correct the line.", "Write name: Acme.")
        if document.problems:
            raise InputError(document.problems)
        if given.items() <= document.given.items():
            return {}
        raise CallError(f"{path} has the settings already. Write there instead:\n{_as_yaml(given)}")
    return given


def _write_settings(out: Path, new: dict[str, Any]) -> None:
    if new:
        out.mkdir(parents=True, exist_ok=True)
        (out / _SETTINGS).write_text(_as_yaml(new), "utf-8")


def _as_yaml(settings: dict[str, Any]) -> str:
    return str(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


@_importers.command("table")
def _import_table(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CSV, Excel workbook, Parquet, DuckDB file or postgresql:// address; a row per deal and moment.",
        ),
    ],
    mapping: Annotated[Path | None, _option("FILE", "YAML that says which column is what.")] = None,
    out: Annotated[Path | None, _INTO] = None,
    table: Annotated[
        str | None, _option("NAME", "The sheet or table to read, where there are several.")
    ] = None,
    explain: Annotated[bool, _flag("--explain", "Print a draft of the mapping, and stop.")] = False,
    time_limit: _Limit = _HOUR,
) -> None:
    """Import one table that already holds forecasts and outcomes side by side."""
    with limited(time_limit):
        if explain:
            print(flat_table_draft.explain(file, table))
        elif mapping is None or out is None:
            raise CallError(
                "import table needs --mapping and --out. "
                f"For a draft of the mapping: forecasteval import table {file} --explain > mapping.yaml"
            )
        elif outcomes.speaks_of_outcomes(mapping):
            rows = outcomes.import_outcomes(file, mapping, table)
            print(f"{outcomes.write_outcomes(rows, out)}: {count(len(rows), 'rows of outcomes')}.")
            print(f"Next: forecasteval report measured_outcome --data {shlex.quote(str(out))} -p outcome ''")
        elif totals.speaks_of_totals(mapping):
            _totals_written(totals.import_totals(file, mapping, table), out)
        else:
            _matched_written(flat_table.import_table(file, mapping, table), out)


def _matched_written(matched: Any, out: Path) -> None:
    notes = matched.attrs["forecasteval"]["notes"]
    lacking = flat_table.shortcomings(matched)
    org = Org(name=out.name, folder=out, matched=matched, notes=notes, warnings=lacking)
    folders.write_tables(org, out)
    _left_out(matched.attrs["forecasteval"]["flow"])
    _written(org, out)


def _left_out(flow: list[dict[str, Any]]) -> None:
    """How many rows of a table are left out, and why."""
    for step in flow:
        if step["dropped"]:
            print(f"- {count(step['dropped'], 'rows')} of {flow[0]['deals']:,} left out: {step['why']}.")


def _totals_written(found: totals.Totals, out: Path) -> None:
    place = found.write(out)
    print(f"{place}: {count(len(found.calls), 'calls')}, {count(len(found.actuals), 'booked totals')}.")
    _left_out(found.flow)
    for note in found.notes:
        print(f"- {note}")
    print(f'In Python: fe.read("{out}") holds them as calls and actuals.')


def _written(org: Org, folder: Path) -> None:
    print(f"{folder / 'tables'}: {_counts(org)}.")
    about = {} if org.matched is None else org.matched.attrs["forecasteval"]
    for note in dict.fromkeys([*org.notes, *about.get("notes", ())]):
        print(f"- {note}")
    if org.warnings:
        print(f"To look at ({len(org.warnings)}):\n{_listed(org.warnings)}", file=sys.stderr)
    print(_next_step(org, folder))


def _next_step(org: Org, folder: Path) -> str:
    """The call that can follow: a flat table has forecasters of its own."""
    call = f"Next: forecasteval report compare_forecasts --data {shlex.quote(str(folder))}"
    if org.matched is None:
        return call
    said = org.matched.attrs["forecasteval"]
    if "rules" in said["forecasters"]:
        return call.replace("compare_forecasts", "lead_scoring")
    pair = _pair(said["forecasters"])
    if len(pair) < 2 and said["features"]:
        pair = ["model", "base_rate"]
    if len(pair) < 2:
        return "Next: add forecasts (at least two) or features to the mapping, and import again."
    candidate, baseline = (shlex.quote(name) for name in pair)
    return f"{call} -p candidate {candidate} -p baseline {baseline}"


def _pair(forecasters: dict[str, dict[str, str]]) -> list[str]:
    """Two forecasters that can be compared, the people's as the baseline where the mapping says which it is."""
    kinds = [entry["kind"] for entry in forecasters.values()]
    kind = max(kinds, key=kinds.count, default="")
    names = [name for name, entry in forecasters.items() if entry["kind"] == kind]
    pair = names if len(names) > 1 else list(forecasters)
    people = [name for name in pair if _by_people(name, forecasters[name].get("by"))]
    others = [name for name in pair if name not in people]
    return [*others[:1], *people[:1]] if others and people else pair[:2]


def _by_people(name: str, by: str | None) -> bool:
    return by == "people" or (by is None and name.split("_")[0] in ("rep", "reps", "people"))


def _counts(org: Org) -> str:
    nouns = {"history": "versions in the history", "matched": "matched rows", "actuals": "booked totals"}
    nouns |= {"outcomes": "rows of outcomes", "activity": "rows of activity"}
    names = [name for name in (*TABLES, "matched") if name != "users"]
    return ", ".join(count(len(t), nouns.get(n, n)) for n in names if (t := getattr(org, n)) is not None)


# --- check ------------------------------------------------------------------------------------------


@_app.command("check")
def _check_folder(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Data folder or bare export.")],
    fresh: Annotated[
        bool,
        _flag("--fresh", "Refuse data older than max_age_days in organisation.yaml, as `report` does."),
    ] = False,
) -> None:
    """Every problem of a data folder: file, row, column, what was found and expected, what to do."""
    problems = folders.check(folder)
    broken = any(p.severity == "error" for p in problems)
    if fresh and not broken and (old := stale(folders.read(folder), date.today())):
        problems = [old, *problems]
    errors = [p for p in problems if p.severity == "error"]
    if errors:
        counted = f"{len(errors)} problem{'s' if len(errors) > 1 else ''} to mend"
        print(f"{folder}: {counted}.\n{_listed(errors)}", file=sys.stderr)
        raise typer.Exit(2)
    if problems:
        print(f"{folder}: can be used; to look at ({len(problems)}):\n{_listed(problems)}")
    else:
        print(f"{folder}: no problems.")
    org = folders.read(folder)
    newest = newest_record(org)
    print(_counts(org) + (f"; newest record {newest:%Y-%m-%d}." if newest is not None else "."))
    if told := comparable(org, MIN_CLUSTERS["period"]):
        print(told)
    for note in org.notes:
        print(f"- {note}")


# --- report -----------------------------------------------------------------------------------------


@_app.command("report")
def _report(
    notebook: Annotated[
        str, typer.Argument(metavar="NOTEBOOK", help="Name of a notebook in notebooks/, or the path of one.")
    ],
    data: Annotated[Path | None, _option("FOLDER", "Data folder; the notebook's own if left out.")] = None,
    parameter: _Parameter = None,
    out: Annotated[
        Path | None,
        _option("FOLDER", "The report goes to FOLDER/NOTEBOOK/ [reports/<data folder>].", "--out"),
    ] = None,
    allow_stale: _Stale = False,
    allow_shrunk: _Shrunk = False,
    help_parameters: Annotated[
        bool, _flag("--help-parameters", "List the notebook's parameters, and stop.")
    ] = False,
    fail_on: _FailOn = None,
    notify: _Notify = None,
    as_json: _Json = False,
    pdf: _Pdf = False,
    xlsx: _Xlsx = False,
    time_limit: _Limit = _HOUR,
) -> None:
    """Run a notebook and write its report: page, tables, figures, results and what they were made from."""
    if help_parameters:
        print(_parameter_list(notebook))
        return
    texts = _texts(parameter or [])
    conditions = [Condition.read(text) for text in fail_on or ()]
    messenger = Messenger.of(notify) if notify is not None else None
    place = out or Path("reports") / (data.resolve().name if data else ".")
    name = Path(notebook).stem

    def check(values: Mapping[str, Any], folder: Path | None) -> None:
        question = _asked(name, values, None)  # refused before the data are read, where it can be
        if question is not None and folder is not None and _TOLD_BY_DATA & set(texts):
            question.check(folders.read(folder))

    try:
        with limited(time_limit):
            place = make_report(
                notebook,
                out=place,
                data=data,
                texts=texts,
                check=check if texts else None,
                allow_stale=allow_stale,
                allow_shrunk=allow_shrunk,
                progress=True,
                pdf=pdf,
                xlsx=xlsx,
            )
    except RunFailed as failure:
        _passed_on(messenger, failure.folder, f"FAILED: {failure}\n")
        raise
    _passed_on(messenger, place)
    raise typer.Exit(_outcome(place, conditions, as_json=as_json))


@_app.command("lab", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def _lab(context: typer.Context) -> None:
    """Open copies of the notebooks in JupyterLab: lab [NOTEBOOK] [JupyterLab's options, such as --port 8889]."""
    first, *others = [*context.args, ""]
    named = first and not first.startswith("-")
    open_lab(first if named else "compare_forecasts", [w for w in (others if named else context.args) if w])


def _passed_on(messenger: Messenger | None, place: Path | None, text: str = "") -> None:
    """Hand a report's summary to the user's command, if any; where it fails that is said, and the report stands."""
    if messenger and (trouble := messenger.send(place, text)):
        print(trouble, file=sys.stderr)


def _outcome(place: Path, conditions: Sequence[Condition], *, as_json: bool) -> int:
    """Say what a report found, the verdict last; its exit code."""
    results = json.loads((place / "results.json").read_text("utf-8"))
    summary = json.loads((place / "summary.json").read_text("utf-8"))
    if as_json:
        print(json.dumps({"folder": str(place), **summary}, indent=1, ensure_ascii=False))
    else:
        lines = (summary["headline"], verdict_line(summary))
        print(
            "\n".join([str(place / "report.html"), *(" ".join(str(line).split()) for line in lines if line)])
        )
    true = [condition.true_of(results) for condition in conditions]
    for condition, came_true in zip(conditions, true, strict=True):
        if came_true:
            print(f"--fail-on: {condition.text}", file=sys.stderr)
        elif came_true is None:
            print(f"--fail-on: {condition.text}: this report has no {condition.key}.", file=sys.stderr)
    return 4 if any(true) else 3 if results["status"] == CANNOT else 0


def _texts(given: Sequence[str]) -> dict[str, str]:
    texts = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals:
            raise CallError(f"-p {word}: a value is missing. Write -p {word} VALUE.")
        if name in texts:
            raise CallError(f"Parameter {name} is given twice.")
        texts[name] = value
    return texts


def _parameter_list(notebook: str) -> str:
    declared = parameters_of(find_notebook(notebook))
    if not declared:
        return f"{notebook} has no parameters."
    width = max(len(name) for name in declared)
    lines = []
    for p in declared.values():
        lines.append(f"{p.name:<{width}}  {p.expected or p.annotation}; default {p.default}")
        lines += [f"{'':<{width}}  {line}" for line in textwrap.wrap(p.help, 78)]
    return "\n".join(lines)


# --- claim ------------------------------------------------------------------------------------------

_claims = typer.Typer(
    help="A vendor's claim: its card, the questions that go out, the answers that come back.",
    **_PLAIN,
)
_app.add_typer(_claims, name="claim")
_CLAIM = typer.Argument(metavar="CLAIM.yaml", help="A claim; data/claims/ holds examples.")


@_claims.command("card")
def _claim_card(
    file: Annotated[Path, _CLAIM],
    out: Annotated[Path | None, _option("FILE", "Write it there, as Markdown.", "--out")] = None,
) -> None:
    """The claim card: every row with its answer, and whether the claim can be checked."""
    card = questionnaire.card(claims.read_claim(file))
    _shown(card, out)


@_claims.command("questions")
def _claim_questions(
    file: Annotated[Path, _CLAIM],
    out: Annotated[Path, _option("FILE", "Questionnaire to write: .xlsx or .md.", "--out")],
) -> None:
    """The questions to the vendor, as a workbook or Markdown that a mail can carry."""
    claim = claims.read_claim(file)
    _new_file(out)
    questionnaire.write_questions(claim, out)
    print(out)


@_claims.command("read")
def _claim_read(
    file: Annotated[Path, typer.Argument(metavar="FILE.xlsx", help="The workbook that came back.")],
    out: Annotated[Path, _option("CLAIM.yaml", "Claim to write.", "--out")],
) -> None:
    """The vendor's answers as a claim; what was left open is not stated."""
    claim, changed = questionnaire.read_questions(file)
    found = claims.score(claim)
    about = f": {found.stated} of {found.asked} rows are stated; {found.words}."
    _shown(claims.as_yaml(claim), out, "\n".join([about, *changed]))


@_claims.command("schema")
def _claim_schema() -> None:
    """The JSON schema of a claim's file."""
    print(json.dumps(claims.schema(), indent=2, ensure_ascii=False))


_queries = typer.Typer(
    help="Queries for a warehouse that data may not leave.",
    **_PLAIN,
)
_app.add_typer(_queries, name="sql")


@_queries.callback()
def _sql() -> None:
    """What to run where the rows are; `fe.compare_cells` reads what comes back."""


@_queries.command("compare")
def _sql_compare(
    candidate: Annotated[str, _option("COLUMN", "The forecaster that is compared.")],
    baseline: Annotated[str, _option("COLUMN", "The one it is compared with.")],
    dialect: Annotated[str, _option("NAME", "bigquery, databricks, duckdb, postgres or snowflake.")],
    table: Annotated[str, _option("NAME", "The matched table: a row per deal and as-of.")] = "matched",
    metric: Annotated[list[str] | None, _option("NAME", "Score, repeatable; all default ones.")] = None,
    by: Annotated[list[str] | None, _option("COLUMN", "rep, period or account, repeatable.")] = None,
    one_row_per_deal: Annotated[bool, typer.Option(help="No deal stands in the table twice.")] = False,
    amount_won: Annotated[bool, typer.Option(help="The table has amount_won.")] = False,
    digits: Annotated[int | None, _option("N", "Forecasts are ranked to so many digits.")] = None,
    out: Annotated[Path | None, _option("FOLDER", "Write cells.sql and curve.sql there.", "--out")] = None,
) -> None:
    """The two queries of a comparison; their results, as CSV, go into fe.compare_cells(cells, curve)."""
    from forecasteval.compare import sql  # engines are not imported unless they are used

    asked = sql.Ask(
        candidate,
        baseline,
        sql.metrics_of(metric or DEFAULT_METRICS),
        tuple(by or ("rep", "period")),
        one_row_per_deal,
        amount_won,
        digits,
    )
    for name, query in zip(("cells", "curve"), sql.queries(table, asked, dialect), strict=True):
        if out is None:
            query = f"-- {name}: save the result as {name}.csv\n{query}\n"
        _shown(query, out and out / f"{name}.sql")


_points = typer.Typer(
    help="Hand-written rules as a points table: what may stand there, and which rules gave a lead its points.",
    **_PLAIN,
)
_app.add_typer(_points, name="points")
_DATA = "Data folder, as data/acme."


@_points.command("schema")
def _points_schema() -> None:
    """The JSON schema of a points table."""
    print(json.dumps(PointsTable.model_json_schema(), indent=2, ensure_ascii=False))


@_points.command("explain")
def _points_explain(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data folder with leads.")],
    lead: Annotated[str | None, _option("ID", "Only this lead.")] = None,
    out: Annotated[Path | None, _option("FILE", "Write them there, as CSV.", "--out")] = None,
) -> None:
    """Of each lead its points and the rules that gave them."""
    found = explained(folders.read(data), lead)
    _shown(found.to_csv(index=False, sep="\t" if out is None else ","), out)


@_app.command("blind")
def _blind(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=_DATA)],
    as_of: Annotated[str, _option("DAY", "The moment: the end of a day such as 2026-02-28.", "--as-of")],
    out: Annotated[Path, _option("FOLDER", "Folder to write; it goes to the vendor.", "--out")],
    population: Annotated[str, _option("NAME", "Which open deals.")] = "closing in period",
) -> None:
    """Deals for a vendor to score: pseudonymous, as known at one moment, no outcomes, no later fields."""
    print(blind_pack.make_pack(folders.read(data), as_of, out, population).words())


@_app.command("freeze")
def _freeze(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Scores of a pack (deal, value); or a claim's YAML.")
    ],
    data: Annotated[Path, _option("DATA", _DATA)],
    name: Annotated[str | None, _option("NAME", "Whose scores, as vendor_z [the file's name].")] = None,
    kind: Annotated[str, _option("KIND", "Of scores: probability or rank_score.")] = "probability",
    retrospective: Annotated[bool, _flag("--retrospective", "Label scores a backtest.")] = False,
    parameter: _Parameter = None,
    annex: Annotated[
        Path | None, _option("FILE.html", "Of a claim: the two pages to print and sign.")
    ] = None,
) -> None:
    """Hash and date scores, or a claim and how it is judged, in a ledger that is only added to."""
    org, texts = folders.read(data), _texts(parameter or [])
    if file.suffix in (".yaml", ".yml"):
        given = read_values(parameters_of(find_notebook("vendor_claim")), texts, "vendor_claim")
        trial: Any = question_of("vendor_claim")
        agreed = trial(**{**given, "claim": str(file)})
        if annex is not None:
            _new_file(annex)
        print(agreed.register(org))
        if annex is not None:
            annex.write_text(agreed.annex(org), "utf-8")
            print(annex)
        return
    if texts or annex is not None:
        raise CallError("-p and --annex go with a claim (.yaml); scores have none.")
    print(blind_pack.freeze_scores(org, file, name or file.stem, kind=kind, retrospective=retrospective)[1])


def _new_file(path: Path) -> None:
    if path.exists():
        raise CallError(f"{path} is there already and is not written over. Name another file.")


def _shown(text: str, out: Path | None, about: str = "") -> None:
    """Print a text, or write it to a file that must not be there yet and say so."""
    if out is None:
        print(text, end="")
        return
    _new_file(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, "utf-8", newline="")
    print(f"{out}{about}")


# --- verify -----------------------------------------------------------------------------------------


@_app.command("verify")
def _verify(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A report's folder.")],
    data: Annotated[Path | None, _option("FOLDER", "Data folder; the notebook's own if left out.")] = None,
    time_limit: _Limit = _HOUR,
) -> None:
    """Compute a report's results again from the inputs that its manifest names: same (0), differs (1), other inputs (2)."""
    with limited(time_limit):
        found = verify(folder, data=data, progress=True)
    print(found, file=sys.stderr if found.inputs else sys.stdout)
    raise typer.Exit(found.exit_code)


# --- batch ------------------------------------------------------------------------------------------

_EXECUTOR = "Make them on this executor of concurrent.futures, as dask.distributed:Client; processes of this machine if left out."
_PLAN = typer.Argument(metavar="PLAN.yaml", help="The reports to make; --schema says what may stand there.")


@_app.command("batch")
def _batch(
    plan: Annotated[Path | None, _PLAN] = None,
    out: Annotated[Path | None, _option("FOLDER", "Folder of the reports and their index.", "--out")] = None,
    workers: Annotated[int, _option("N", "Reports at a time [one more than cores].", min=0)] = 0,
    time_limit: _Limit = _HOUR,
    archive: Annotated[bool, _flag("--archive", "Keep a dated copy in FOLDER/archive.")] = False,
    keep: Annotated[int, _option("N", "Keep only the newest N dated copies.", min=0)] = 0,
    plain: Annotated[bool, _flag("--plain", "Start every report from nothing; slower.")] = False,
    executor: Annotated[str, _option("MODULE:NAME", _EXECUTOR, "--executor")] = "",
    allow_stale: _Stale = False,
    allow_shrunk: _Shrunk = False,
    fail_on: _FailOn = None,
    notify: _Notify = None,
    as_json: _Json = False,
    pdf: _Pdf = False,
    xlsx: _Xlsx = False,
    schema: Annotated[bool, _flag("--schema", "Print the plan's JSON schema, and stop.")] = False,
) -> None:
    """Make many reports at once: notebooks, parameters, a report for each value of a column, and an index."""
    from forecasteval.report import batch
    from forecasteval.report.plan import Plan

    if schema:
        print(json.dumps(Plan.model_json_schema(), indent=2))
        return
    if plan is None or out is None:
        raise CallError(
            "batch needs a plan and --out, as in: forecasteval batch plan.yaml --out reports/acme"
        )
    if executor and (workers or plain):
        raise CallError(
            "--executor brings its own workers and shares nothing: leave --workers and --plain out."
        )
    conditions = tuple(Condition.read(text) for text in fail_on or ())
    messenger = Messenger.of(notify) if notify is not None else None
    options = batch.Options(
        *(workers, time_limit, not plain, allow_stale, allow_shrunk, pdf, xlsx),
        archive=archive or keep > 0,
        keep=keep,
        executor=executor,
        conditions=conditions,
    )
    made = batch.make_batch(plan, out, _asked, options)
    _passed_on(messenger, out)
    for one in made:
        if one.failed:
            print(f"{one.job.label}: {one.error}", file=sys.stderr)
    never = [c for c in conditions if not any(c.can_be_asked_of(one.results) for one in made)]
    for condition in never:
        print(f'--fail-on "{condition.text}": no report has {condition.key}.', file=sys.stderr)
    told = (
        (out / "index.json").read_text("utf-8")
        if as_json
        else f"{out / 'index.html'}\n{(out / 'summary.txt').read_text('utf-8')}"
    )
    print(told, end="")
    code = batch.outcome(made)
    raise typer.Exit(2 if never and code != 1 else code)


def _asked(notebook: str, values: Mapping[str, Any], org: Org | None) -> Any:
    """The question that a study's notebook will ask, checked; None for somebody else's notebook."""
    study = question_of(notebook)
    if study is None:
        return None
    question = study(**{name: value for name, value in values.items() if name in study.model_fields})
    if org is not None:
        question.check(org)
    return question


if __name__ == "__main__":
    sys.exit(main())
