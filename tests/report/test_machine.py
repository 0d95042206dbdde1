import time
from pathlib import Path

import pytest

from forecasteval.report._machine import Machine

HOME = str(Path.home())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/crm/acme", "Acme"),
        ("/srv/crm/acme/export/deals.csv, row 7", "Acme/export/deals.csv, row 7"),
        ("data = '/srv/crm/acme'", "data = 'Acme'"),
        ("file:///srv/crm/acme/x", "file://Acme/x"),
        ("In /srv/crm/acme.", "In Acme."),
        ("/srv/crm/acme-old and /srv/crm/acme.bak", "/srv/crm/acme-old and /srv/crm/acme.bak"),
        ("/mnt/srv/crm/acme", "/mnt/srv/crm/acme"),
        ("/srv/crm", "/srv/crm"),
        (f"{HOME}/.cache/x", "~/.cache/x"),
        ("/tmp/ipykernel_12/345.py:3: UserWarning: x", "the notebook:3: UserWarning: x"),
        ("(/tmp/ipykernel_12/3.py,/tmp/ipykernel_12/4.py) /t/ipykernel_1/5.py", "the notebook) the notebook"),
        ("1/2 and/or http://example.org/srv", "1/2 and/or http://example.org/srv"),
    ],
)
def test_places_get_names_and_nothing_else_does(text, expected):
    assert Machine({"/srv/crm/acme": "Acme"}).without(text) == expected


def test_a_notebook_is_changed_in_its_place_and_pictures_are_left_alone():
    notebook = {
        "cells": [{"source": "/srv/acme/x", "n": 3, "outputs": [{"image/png": "/srv/acme"}]}],
        "m": None,
    }
    assert Machine({"/srv/acme": "Acme"}).without(notebook) is notebook
    assert notebook["cells"][0] == {"source": "Acme/x", "n": 3, "outputs": [{"image/png": "/srv/acme"}]}


def test_a_picture_in_markup_is_read_in_one_go():
    """Tried from each of its letters, it would take an hour."""
    markup = f'<img src="data:image/png;base64,{"aB3/" * 250_000}">'
    before = time.process_time()
    assert Machine({"/srv/acme": "Acme"}).without(markup) == markup
    assert time.process_time() - before < 10


def test_the_root_and_names_are_no_places(monkeypatch):
    monkeypatch.chdir("/")
    assert Machine({"/": "Acme", "data/demo": "Acme"}).without("/x data/demo") == "/x data/demo"
