"""The house: rooms in one direction, no circle between files, read from the source."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "forecasteval"
# a room may use what stands before it; the doors come last
ROOMS = ["errors", "tables", "sources", "matching", "scores", "inference", "compare", "report", "studies"]
DOORS = ["cli", "forecasteval"]


def name_of(path):
    parts = ("forecasteval", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


FILES = {name_of(p): p for p in sorted(PACKAGE.rglob("*.py"))}


def room_of(module):
    return (*module.split("."), "forecasteval")[1] if "." in module else "forecasteval"


def imports_of(module):
    """Everything of the package that a file imports, inside functions too; a name counts as its file."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else str(node.module) for name in inner}
    return {name for name in found if name in FILES and name != module}


def test_there_are_eleven_rooms():
    assert {room_of(m) for m in FILES} == {*ROOMS, *DOORS}


@pytest.mark.parametrize("module", [m for m in FILES if room_of(m) in ROOMS])
def test_a_room_imports_only_rooms_before_it(module):
    own = ROOMS.index(room_of(module))
    later = {i for i in imports_of(module) if room_of(i) not in ROOMS[: own + 1]}
    assert not later


def test_no_circle_between_files():
    graph = {m: imports_of(m) - {"forecasteval"} for m in FILES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


def test_a_study_imports_no_other_study():
    def study(module):
        return ".".join(module.split(".")[:3]) if module.count(".") > 2 else None

    inside = [(m, i) for m in FILES if room_of(m) == "studies" for i in imports_of(m) if study(i)]
    assert [(m, i) for m, i in inside if study(m) and study(m) != study(i)] == []
    assert len(inside) > 10


def test_only_sources_know_a_crm():
    """A CRM's own words stand in `sources` alone; the door names it as an argument."""
    words = ("salesforce", "opportunityid", "stagename", "hubspot", "dealstage")
    elsewhere = [m for m in FILES if room_of(m) in ROOMS and room_of(m) != "sources"]
    found = [m for m in elsewhere if any(w in FILES[m].read_text("utf-8").lower() for w in words)]
    assert found == []
