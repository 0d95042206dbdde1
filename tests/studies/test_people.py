"""People on the page: by name where that was asked for, else by stand-ins; also in segments and in errors."""

import pandas as pd
import pytest

from forecasteval.errors import CallError
from forecasteval.sources.folder import read
from forecasteval.studies.compare_forecasts.study import Question


@pytest.fixture(scope="module")
def org():
    return read("data/demo")


def answer(org, **parameters):
    return Question(as_of="week 4", candidate="vendor_x", baseline="rep_forecast", **parameters).run(org)


def shown(found):
    return {*found.reps.table["name"], *found.influence["name"]}


def test_names_come_from_the_users_where_they_are_asked_for(org):
    names = set(org.users["name"])
    assert shown(answer(org, show_names=True)) <= names
    hidden = answer(org)
    assert all(name.startswith("rep ") for name in shown(hidden))
    pd.testing.assert_series_equal(
        hidden.reps.table["shrunken"], answer(org, show_names=True).reps.table["shrunken"]
    )


def test_an_error_lists_no_people(org):
    with pytest.raises(CallError) as caught:
        assert answer(org, segment="rep: Nobody").pair is None
    assert "24 reps, written as in the data" in str(caught.value)
    assert not any(rep in str(caught.value) for rep in org.users["rep"])


def test_a_segment_of_one_person_names_nobody_unless_asked(org):
    rep = org.deals["rep"].value_counts().index[0]
    name = org.users.set_index("rep").loc[rep, "name"]
    hidden = answer(org, segment=f"rep: {rep}").pair
    assert rep not in f"{hidden.population} {hidden.where} {hidden.flow}"
    assert f"where rep is {name}" in answer(org, segment=f"rep: {rep}", show_names=True).pair.where
