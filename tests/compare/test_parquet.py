"""A matched table that is compared straight from a Parquet file gives what the table itself gives."""

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError


def deals(n=600, looks=1, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.beta(1, 3, n)
    table = pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(n)],
            "as_of": pd.Timestamp("2026-02-28"),
            "period": [f"Q{i}" for i in rng.integers(0, 8, n)],
            "rep": [f"rep {i}" for i in rng.integers(0, 12, n)],
            "account": [f"a{i}" if i % 3 else None for i in rng.integers(0, 90, n)],
            "won": (rng.random(n) < truth).astype(int),
            "amount": rng.lognormal(8, 1, n),
            "region": "West",
            "model": np.clip(truth + rng.normal(0, 0.1, n), 0.01, 0.99),
            "rep_forecast": np.where(rng.random(n) < 0.05, np.nan, rng.random(n).round(1)),
        }
    )
    later = [table.assign(as_of=table["as_of"] + pd.Timedelta(7 * i, "D")) for i in range(looks)]
    return pd.concat(later, ignore_index=True)


@pytest.mark.parametrize("looks", [1, 3])
@pytest.mark.parametrize("question", [("deal",), ("account",), ("rep", "period")])
def test_the_file_gives_what_the_table_gives(tmp_path, looks, question):
    table = deals(looks=looks)
    table.attrs["forecasteval"] = {"target": "won in period", "nouns": {"period": "quarters"}}
    table.to_parquet(tmp_path / "matched.parquet", row_group_size=500)
    options = {"generalise_to": question}
    ours = fe.compare(tmp_path / "matched.parquet", "model", "rep_forecast", **options)
    theirs = fe.compare(table, "model", "rep_forecast", **options)
    assert ours.to_dict() == theirs.to_dict()


def test_a_folder_of_files_is_one_table(tmp_path):
    table = deals(looks=3)
    (tmp_path / "year=2026").mkdir()
    table.iloc[:700].to_parquet(tmp_path / "year=2026" / "a.parquet")
    table.iloc[700:].sample(frac=1, random_state=0).to_parquet(tmp_path / "b.parquet")
    ours = fe.compare(tmp_path, "model", "rep_forecast")
    assert ours.to_dict() == fe.compare(table, "model", "rep_forecast").to_dict()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CallError, match="holds no Parquet file"):
        fe.compare(tmp_path / "empty", "model", "rep_forecast")


def test_deals_are_not_told_apart_where_each_is_declared_to_have_one_row(tmp_path):
    deals().to_parquet(tmp_path / "m.parquet")
    found = fe.compare(tmp_path / "m.parquet", "model", "rep_forecast", one_row_per_deal=True)
    assert found.to_dict() == fe.compare(deals(), "model", "rep_forecast").to_dict()


def test_what_cannot_be_read_says_what_is_there(tmp_path):
    deals().to_parquet(tmp_path / "m.parquet")
    (tmp_path / "t.csv").write_text("deal_id,won\n1,1\n")
    with pytest.raises(CallError, match="There is no file"):
        fe.compare(tmp_path / "nowhere.parquet", "model", "rep_forecast")
    with pytest.raises(CallError, match=r"cannot be read as Parquet.*import table"):
        fe.compare(str(tmp_path / "t.csv"), "model", "rep_forecast")
    found = fe.compare(tmp_path / "m.parquet", "modle", "rep_forecast")
    assert found.verdict == "cannot be compared"
    assert "the table has model, rep_forecast. Did you mean" in found.primary["reasons"][-1]["text"]
    deals().drop(columns="won").to_parquet(tmp_path / "n.parquet")
    with pytest.raises(CallError, match=r"no column won; it has deal_id.*region"):
        fe.compare(tmp_path / "n.parquet", "model", "rep_forecast")


def test_an_empty_id_is_refused_in_a_file_too(tmp_path):
    table = deals()
    table.loc[5, "deal_id"] = None
    table.to_parquet(tmp_path / "m.parquet")
    with pytest.raises(CallError, match="deal_id is empty in 1 rows, the first is row 6"):
        fe.compare(tmp_path / "m.parquet", "model", "rep_forecast")


def test_an_empty_file_is_refused_as_an_empty_frame_is(tmp_path):
    deals().head(0).to_parquet(tmp_path / "m.parquet")
    for empty in (tmp_path / "m.parquet", deals().head(0)):
        with pytest.raises(CallError, match="The table is empty: it has columns but no rows"):
            fe.compare(empty, "model", "rep_forecast")


def test_nan_in_a_file_is_a_gap_although_its_statistics_know_of_none(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = deals(looks=2)
    columns = pa.table(
        {n: pa.array(table[n].to_numpy(), from_pandas=False) for n in ("model", "rep_forecast")}
    )
    written = pa.Table.from_pandas(table, preserve_index=False)
    for name in columns.column_names:
        written = written.set_column(written.column_names.index(name), name, columns[name])
    assert written["rep_forecast"].null_count == 0
    pq.write_table(written, tmp_path / "m.parquet")
    ours = fe.compare(tmp_path / "m.parquet", "model", "rep_forecast").to_dict()
    assert ours == fe.compare(table, "model", "rep_forecast").to_dict()
