"""Nothing that was recorded after a moment changes what is known at that moment."""

import numpy as np
import pandas as pd
from conftest import Export
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasteval.sources.history import _VALUES, FIELDS, Records, build, from_snapshots, states
from forecasteval.sources.salesforce import import_folder
from forecasteval.tables.settings import Settings

EPOCH = pd.Timestamp("2026-01-01")
STATUS = {"A": "open", "B": "open", "W": "won", "L": "lost"}
UTC = Settings()
LAST = 12

day = st.integers(0, LAST)
deal = st.sampled_from(["D1", "D2", "D3"])
stage = st.sampled_from(["A", "B", "W", "L"])
amount = st.one_of(st.none(), st.integers(1, 5).map(float))
rep = st.sampled_from(["r1", "r2", "r3"])
full_row = st.tuples(deal, day, stage, amount, day)
change_row = st.one_of(
    st.tuples(deal, day, st.just("rep"), rep, rep),
    st.tuples(deal, day, st.just("stage"), stage, stage),
    st.tuples(deal, day, st.just("amount"), amount, amount),
)
current_row = st.tuples(day, rep, stage, amount, day, st.booleans())


@st.composite
def worlds(draw):
    """(full rows, change rows, today's records, day of the question)."""
    full = draw(st.lists(full_row, max_size=8))
    changes = draw(st.lists(change_row, max_size=8))
    current = draw(st.dictionaries(deal, current_row, max_size=3))
    return full, changes, current, draw(st.integers(0, LAST - 1))


@st.composite
def rewritten(draw, rows, t, new_row, keep=()):
    """The rows up to t as they are; later ones kept, dropped or replaced, and others added."""
    told = []
    for row in rows:
        if row[1] <= t or row in keep:
            told.append(row)
        elif draw(st.booleans()):
            later = draw(new_row)
            told.append(draw(st.sampled_from([row, (row[0], max(later[1], t + 1), *later[2:])])))
    extra = draw(st.lists(new_row, max_size=3))
    return told + [(row[0], max(row[1], t + 1), *row[2:]) for row in extra]


@st.composite
def pairs(draw, keep_sources=False):
    """A world and another one that differs only in what was recorded after t."""
    full, changes, current, t = draw(worlds())
    keep = []
    if keep_sources:
        first = {}
        for row in sorted(changes, key=lambda row: row[1]):
            first.setdefault((row[0], row[2]), row)
        keep = list(first.values())
    others = [
        row for row in draw(rewritten(changes, t, change_row, keep)) if not keep_sources or _later(row, keep)
    ]
    now = dict(current)
    if not keep_sources:
        for name in ("D1", "D2", "D3"):
            today = draw(st.one_of(st.none(), current_row))
            created = current[name][0] if name in current else LAST + 1
            # a deal's creation is recorded when it happens; everything else of today's record is later
            if today is None:
                now.pop(name, None)
            elif created <= t:
                now[name] = (created, *today[1:])
            else:
                now[name] = (max(today[0], t + 1), *today[1:])
    return (full, changes, current), (draw(rewritten(full, t, full_row)), others, now), t


def _later(row, keep):
    """Whether a row leaves the first change of its deal and field the first."""
    first = {(kept[0], kept[2]): kept[1] for kept in keep}
    return row in keep or first.get((row[0], row[2]), LAST + 9) < row[1]


def stamp(number):
    return EPOCH + pd.Timedelta(days=int(number), hours=9)


def history_of(full, changes, current):
    full_table = pd.DataFrame(
        {
            "deal_id": pd.Series([row[0] for row in full], dtype="str"),
            "at": pd.Series([stamp(row[1]) for row in full], dtype="datetime64[us]"),
            "stage": pd.Series([row[2] for row in full], dtype="str"),
            "amount": pd.Series([row[3] for row in full], dtype=float),
            "close_on": pd.Series([stamp(row[4]).normalize() for row in full], dtype="datetime64[s]"),
        }
    )
    change_table = pd.DataFrame(
        {
            "deal_id": pd.Series([row[0] for row in changes], dtype="str"),
            "at": pd.Series([stamp(row[1]) for row in changes], dtype="datetime64[us]"),
            "field": pd.Series([row[2] for row in changes], dtype="str"),
            "old": pd.Series([row[3] for row in changes], dtype=object),
            "new": pd.Series([row[4] for row in changes], dtype=object),
        }
    )
    names = sorted(current)
    today = pd.DataFrame(
        {
            "deal_id": pd.Series(names, dtype="str"),
            "created_at": pd.Series([stamp(current[name][0]) for name in names], dtype="datetime64[us]"),
            "rep": pd.Series([current[name][1] for name in names], dtype="str"),
            "stage": pd.Series([current[name][2] for name in names], dtype="str"),
            "amount": pd.Series([current[name][3] for name in names], dtype=float),
            "close_on": pd.Series(
                [stamp(current[name][4]).normalize() for name in names], dtype="datetime64[s]"
            ),
            "is_deleted": pd.Series([current[name][5] for name in names], dtype=bool),
        }
    )
    ordered = full_table.sort_values(["deal_id", "at"], kind="stable")
    changed = change_table.sort_values(["deal_id", "at", "field"], kind="stable")
    return build(Records(today, ordered, changed), STATUS)


def seen(world, t):
    """Deal -> its state at the end of day t."""
    table = states(history_of(*world), [EPOCH + pd.Timedelta(days=t)], UTC)
    return {row["deal_id"]: row for row in table.astype(object).where(table.notna(), None).to_dict("records")}


@settings(max_examples=25)
@given(pairs())
def test_what_is_recorded_later_never_changes_a_known_state(pair):
    one, other, t = pair
    before, after = seen(one, t), seen(other, t)
    for column, fields in (("values_state", (*_VALUES, "status")), ("rep_state", ("rep",))):
        known = {name: row for name, row in before.items() if row[column] == "known"}
        assert set(known) == {name for name, row in after.items() if row[column] == "known"}
        for name, row in known.items():
            assert {field: row[field] for field in fields} == {field: after[name][field] for field in fields}


@settings(max_examples=25)
@given(pairs(keep_sources=True))
def test_a_carried_state_depends_on_its_two_sources_only(pair):
    """Everything after t but the first later change of each field and today's record is rewritten."""
    one, other, t = pair
    before, after = seen(one, t), seen(other, t)
    for name, row in before.items():
        twin = after.get(name)
        if twin and row["rep_state"] == twin["rep_state"] == "carried":
            assert row["rep"] == twin["rep"]
        if twin and row["values_state"] == twin["values_state"] == "carried":
            assert {field: row[field] for field in _VALUES} == {field: twin[field] for field in _VALUES}


@settings(max_examples=25)
@given(worlds())
def test_every_state_is_what_the_rules_say(world):
    """A slow reading of the rules, deal by deal and field by field, gives the same table."""
    full, changes, current, t = world
    found = seen((full, changes, current), t)
    names = {row[0] for row in full} | {row[0] for row in changes}
    names |= {name for name, row in current.items() if not row[5]}
    expected = {name: expected_state(name, full, changes, current, t) for name in names}
    assert set(found) == {name for name, row in expected.items() if row is not None}
    for name, row in found.items():
        assert {key: row[key] for key in expected[name]} == expected[name]


def expected_state(name, full, changes, current, t):
    versions = sorted((row for row in full if row[0] == name), key=lambda row: row[1])
    own = [row for row in changes if row[0] == name]
    created = [current[name][0]] if name in current else []
    signs = created + [row[1] for row in versions] + [row[1] for row in own]
    if min(signs) > t:
        return None
    result, worst = {}, "known"
    for field in ("rep", "stage", "amount", "close_on"):
        value, state = expected_field(field, name, versions, own, changes, current, t)
        result[field] = value
        if field == "rep":
            result["rep_state"] = state
        else:
            worst = max(worst, state, key=["known", "carried", "unknown"].index)
    return result | {"values_state": worst, "status": STATUS.get(result["stage"], "open")}


def expected_field(field, name, versions, own, changes, current, t):
    column = {"stage": 2, "amount": 3, "close_on": 4}.get(field)
    past = [row for row in versions if row[1] <= t]
    tracked = sorted((row for row in own if row[2] == field), key=lambda row: row[1])
    if column and past:
        return shown(field, past[-1][column]), "known"
    recorded = [row for row in tracked if row[1] <= t]
    if recorded:
        return recorded[-1][4], "known"
    if tracked:
        return tracked[0][3], "carried"
    since = min((row[1] for row in changes if row[2] == field), default=None)
    if name in current:
        today = shown(field, current[name][{"rep": 1, "stage": 2, "amount": 3, "close_on": 4}[field]])
        if field == "rep" and since is None:
            return today, "carried"
        if since is not None and since <= current[name][0]:
            return today, "carried"
    return None, "unknown"


def shown(field, value):
    return stamp(value).normalize() if field == "close_on" else value


def write(world, folder):
    """The same world as the files of an export."""
    full, changes, current = world
    names = {"A": "Discovery", "B": "Proposal", "W": "Closed Won", "L": "Closed Lost", None: ""}
    ids = {f"D{n}": f"00600000000000{n}AAA" for n in (1, 2, 3, 9)}
    owners = {f"r{n}": f"00500000000000{n}AAA" for n in (1, 2, 3)}
    fields = {"rep": "Owner", "stage": "StageName", "amount": "Amount"}

    def told(field, value):
        return (
            owners[value]
            if field == "rep"
            else names[value]
            if field == "stage"
            else ""
            if value is None
            else value
        )

    current = {**current, "D9": (LAST + 5, "r1", "A", None, 3, False)}
    export = Export(folder).usual()
    export.rows(
        "Opportunity",
        *(
            {"Id": ids[name], "CreatedDate": f"{stamp(row[0]).isoformat()}Z", "OwnerId": owners[row[1]],
             "StageName": names[row[2]], "Amount": told("amount", row[3]), "CloseDate": str(stamp(row[4]).date()),
             "IsDeleted": row[5]}
            for name, row in current.items()
        ),
    )  # fmt: skip
    export.rows(
        "OpportunityHistory",
        *(
            {"Id": f"008{n:012}AAA", "OpportunityId": ids[row[0]], "CreatedDate": f"{stamp(row[1]).isoformat()}Z",
             "StageName": names[row[2]], "Amount": told("amount", row[3]), "CloseDate": str(stamp(row[4]).date())}
            for n, row in enumerate([*full, ("D9", LAST + 5, "A", None, 3)])
        ),
    )  # fmt: skip
    export.rows(
        "OpportunityFieldHistory",
        *(
            {"Id": f"017{n:012}AAA", "OpportunityId": ids[row[0]], "CreatedDate": f"{stamp(row[1]).isoformat()}Z",
             "Field": fields[row[2]], "OldValue": told(row[2], row[3]), "NewValue": told(row[2], row[4])}
            for n, row in enumerate([*changes, ("D9", LAST + 6, "rep", "r2", "r1")])
        ),
    )  # fmt: skip
    return folder


@settings(max_examples=6)
@given(pairs())
def test_nor_does_it_on_the_way_through_files(tmp_path_factory, pair):
    one, other, t = pair
    seen_by = []
    for world in (one, other):
        org = import_folder(write(world, tmp_path_factory.mktemp("export")))
        seen_by.append(states(org.history, [EPOCH + pd.Timedelta(days=t)], org.settings).set_index("deal_id"))
    before, after = seen_by
    for column, fields in (("values_state", [*_VALUES, "status"]), ("rep_state", ["rep"])):
        known = before.index[before[column] == "known"]
        assert set(known) == set(after.index[after[column] == "known"])
        pd.testing.assert_frame_equal(before.loc[known, fields], after.loc[known, fields])


@settings(max_examples=25)
@given(
    st.lists(st.tuples(deal, day, amount, stage), max_size=12, unique_by=lambda row: row[:2]),
    day,
    st.booleans(),
)
def test_later_copies_never_change_what_a_copy_says(rows, t, late_closes):
    """The same of dated copies: cutting off those after t leaves the known states at t as they are."""

    def at_t(copies):
        table = pd.DataFrame(
            {
                "deal_id": pd.Series([row[0] for row in copies], dtype="str"),
                "as_of": pd.Series(
                    [EPOCH + pd.Timedelta(days=2 * row[1]) for row in copies], dtype="datetime64[s]"
                ),
                "amount": pd.Series([row[2] for row in copies], dtype=float),
                "status": pd.Series([STATUS[row[3]] for row in copies], dtype="str"),
            }
        )
        _, history = from_snapshots(table, UTC)
        found = states(history, [EPOCH + pd.Timedelta(days=2 * t + late_closes)], UTC)
        return found[found["state"] == "known"].reset_index(drop=True)

    pd.testing.assert_frame_equal(at_t(rows), at_t([row for row in rows if row[1] <= t]))


def test_fields_of_the_versions_are_those_of_the_tables():
    history = history_of([("D1", 1, "A", 5.0, 9)], [], {"D1": (1, "r1", "A", 5.0, 9, False)})
    assert set(FIELDS) < set(history.columns)
    assert np.isnat(history["valid_to"].to_numpy()).all()
