"""Dynamics 365 writes days as midnight in UTC, and flags in the language of the organisation."""

import pandas as pd
import pytest

from forecasteval.sources.dialect import dialect_of
from forecasteval.sources.folder import import_export

DYNAMICS = dialect_of("dynamics")
DEALS = (
    "opportunityid,statecode,estimatedclosedate,actualclosedate,createdon,estimatedvalue\n"
    "00000000-0000-0000-0000-000000000001,0,2026-04-01T00:00:00Z,,2026-01-05T23:30:00Z,5\n"
    "00000000-0000-0000-0000-000000000002,1,2026-04-01T00:00:00Z,2026-03-01T00:00:00Z,2026-01-05T02:30:00Z,5\n"
)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_a_day_that_is_written_as_midnight_does_not_shift(tmp_path, zone):
    (tmp_path / "opportunities.csv").write_text(DEALS)
    (tmp_path / "organisation.yaml").write_text(f"timezone: {zone}\nmax_age_days: 0\n")
    deals = import_export(tmp_path).deals
    assert deals["closed_on"].dropna().dt.strftime("%Y-%m-%d").tolist() == ["2026-03-01"]
    created = {
        "America/New_York": ["01-05", "01-04"],
        "Asia/Tokyo": ["01-06", "01-05"],
        "UTC": ["01-05", "01-05"],
    }
    assert deals["created_on"].dt.strftime("%m-%d").tolist() == created[zone]


@pytest.mark.parametrize(
    ("yes", "no"), [("ja", "nein"), ("Sí", "No"), ("VRAI", "FAUX"), ("sim", "não"), ("vero", "falso")]
)
def test_flags_in_other_languages(tmp_path, yes, no):
    (tmp_path / "Opportunity.csv").write_text(
        "Id,StageName,CloseDate,IsClosed,IsWon,Amount\n"
        f"D1,A,2026-02-03,{yes},{yes},5\nD2,B,2026-02-03,{yes},{no},5\nD3,C,2026-02-03,{no},{no},5\n"
    )
    (tmp_path / "organisation.yaml").write_text("max_age_days: 0\n")
    assert import_export(tmp_path).deals["outcome"].tolist() == ["won", "lost", "open"]


@pytest.mark.parametrize(
    "words", [("Open", "Won", "Lost"), ("Offen", "Gewonnen", "Verloren"), ("Abierto", "Ganado", "Perdido"), ("0", "1", "2")]
)  # fmt: skip
def test_a_status_is_read_in_the_language_of_the_users(words):
    assert DYNAMICS.status(pd.Series(words)).tolist() == ["open", "won", "lost"]
    assert DYNAMICS.status(pd.Series(["Frozen"])).isna().all()


def test_labels_of_a_german_organisation_are_known(tmp_path):
    ids = [f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)]
    (tmp_path / "Verkaufschancen.csv").write_text(
        "(Nicht ändern) Verkaufschance;Gesch. Umsatz;Gesch. Abschlussdatum;Status;Besitzer;Tatsächliches Abschlussdatum\n"
        f"{ids[0]};1.250,50;17.03.2026;Offen;Anna;\n{ids[1]};950,00;02.03.2026;Gewonnen;Anna;25.02.2026\n"
        f"{ids[2]};80,00;03.03.2026;Verloren;Bo;26.02.2026\n"
    )
    deals = import_export(tmp_path).deals
    assert deals["outcome"].tolist() == ["open", "won", "lost"]
    assert deals["amount"].tolist() == [1250.5, 950, 80]
    assert deals["closed_on"].dt.strftime("%m-%d").tolist()[1:] == ["02-25", "02-26"]
