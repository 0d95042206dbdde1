"""A table of tickets becomes outcomes; what is wrong with it is said by row, under the file's own headers."""

import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError, InputError
from forecasteval.sources.outcomes import import_outcomes, speaks_of_outcomes, write_outcomes

MAPPING = """\
unit: Queue
on: Opened
value: {column: SLA, happened: [Breached], did_not: [In time]}
since: {North: 2026-02-02, South: 2026-02-02, East: 2026-02-02}
"""


@pytest.fixture
def tickets(tmp_path):
    days = pd.date_range("2026-01-01", periods=70, freq="D").strftime("%d.%m.%Y")
    queues = ("North", "South", "East", "West", "Inbound", "Key accounts")
    rows = [
        (q, day, "Breached" if (i + k) % 3 == 0 else "in time ")
        for k, q in enumerate(queues)
        for i, day in enumerate(days)
    ]
    path = tmp_path / "tickets.csv"
    pd.DataFrame(rows, columns=["Queue", "Opened", "SLA"]).to_csv(path, index=False, sep=";")
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    return path


def test_from_a_file_to_a_verdict(tickets, tmp_path):
    assert speaks_of_outcomes(tmp_path / "mapping.yaml")
    rows = import_outcomes(tickets, tmp_path / "mapping.yaml")
    assert rows["value"].mean() == pytest.approx(1 / 3, abs=0.02)
    assert rows.loc[rows["since"].notna(), "unit"].unique().tolist() == ["North", "South", "East"]
    write_outcomes(rows, tmp_path / "acme")
    found = fe.measured_outcome(fe.read(tmp_path / "acme").outcomes, better="lower")
    assert found.share
    assert found.sides["treated"]["units"] == 3
    with pytest.raises(CallError, match="not written over"):
        write_outcomes(rows, tmp_path / "acme")


def test_every_problem_of_mapping_and_table_at_once(tickets, tmp_path):
    text = (
        tickets.read_text()
        .replace("01.01.2026;Breached", "soon;Breached", 1)
        .replace(";in time ", ";late", 1)
    )
    tickets.write_text(text)
    with pytest.raises(InputError) as error:
        import_outcomes(tickets, tmp_path / "mapping.yaml")
    said = {(p.file, p.row, p.column) for p in error.value.problems}
    assert {("tickets.csv", 3, "SLA"), ("tickets.csv", 2, "Opened")} <= said
    (tmp_path / "mapping.yaml").write_text(
        MAPPING.replace("Queue", "Que").replace("North", "Nord") + "weeks: 3\n"
    )
    with pytest.raises(InputError) as error:
        import_outcomes(tickets, tmp_path / "mapping.yaml")
    assert {p.column for p in error.value.problems} == {"weeks"}
    with pytest.raises(InputError, match="unit: found 'Que'"):
        import_outcomes(tickets, {"unit": "Que", "on": "Opened", "value": "SLA"})
    with pytest.raises(InputError, match="since: found 'Nord'"):
        import_outcomes(
            tickets, {"unit": "Queue", "on": "Opened", "value": "SLA", "since": {"Nord": "2026-02-02"}}
        )
    with pytest.raises(InputError, match="on: found nothing"):
        import_outcomes(tickets, {"unit": "Queue", "value": "SLA"})


def test_other_mappings_are_not_taken_for_outcomes(tmp_path):
    for text in ("won: {column: a}\nunit: b\nvalue: c\n", "actual: a\nunit: b\n", ""):
        (tmp_path / "m.yaml").write_text(text)
        assert not speaks_of_outcomes(tmp_path / "m.yaml")
    assert not speaks_of_outcomes(tmp_path / "none.yaml")
