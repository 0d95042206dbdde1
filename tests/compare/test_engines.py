"""One table on every engine, shuffled and cut differently, gives the same results to the last printed digit."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from postgres import loaded, running

import forecasteval as fe
from forecasteval.errors import CallError, EngineStopped
from forecasteval.scores.reliability import reliability

METRICS = ["brier", "log_score", "auc", "brier_by_amount", "bias", "bias_by_amount", "brier_skill"]


def deals(n=400, looks=1, seed=0):
    """Reps whose deals change hands, accounts that are not always known, gaps in forecasts and amounts."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(1, 3, n)
    table = pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(n)],
            "as_of": pd.Timestamp("2026-02-28"),
            "period": [f"{2024 + i // 4}Q{i % 4 + 1}" for i in rng.integers(0, 8, n)],
            "rep": [f"rep {i}" for i in rng.integers(0, 12, n)],
            "account": [f"a{i}" if i % 3 else None for i in rng.integers(0, 90, n)],
            "won": (rng.random(n) < truth).astype(int),
            "amount": np.where(rng.random(n) < 0.04, np.nan, rng.lognormal(8, 1, n).round(2)),
            "model": np.where(
                rng.random(n) < 0.06, np.nan, np.clip(truth + rng.normal(0, 0.1, n), 0.01, 0.99)
            ),
            "rep_forecast": np.where(rng.random(n) < 0.05, np.nan, rng.integers(1, 10, n) / 10),
        }
    )
    later = []
    for i in range(looks):
        moved = table.assign(as_of=table["as_of"] + pd.Timedelta(7 * i, "D"))
        if i:
            moved.loc[::9, "rep"] = "rep 3"
        later.append(moved)
    return pd.concat(later, ignore_index=True)


def in_parts(table, seed=1):
    """The same rows in another order."""
    return table.sample(frac=1, random_state=seed)


def duckdb_of(table, folder):
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.register("deals", in_parts(table))
    return connection.table("deals")


def polars_of(table, folder):
    polars = pytest.importorskip("polars")
    return polars.from_pandas(in_parts(table)).lazy()


def files_of(table, folder):
    for i, part in enumerate(np.array_split(in_parts(table).to_numpy(), 3)):
        part = pd.DataFrame(part, columns=table.columns).astype(table.dtypes.to_dict())
        part.to_parquet(folder / f"{i}.parquet")
    return folder


ENGINES = {"DuckDB": duckdb_of, "Polars": polars_of, "Parquet files": files_of}
CASES = [
    *(("Polars", q, n) for n in (1, 3) for q in (None, ("deal",), ("account",), ("deal", "period"))),
    *(("DuckDB", q, n) for q, n in ((None, 1), (("deal",), 1), (None, 3), (("deal", "period"), 3))),
    ("Parquet files", ("account",), 3),
]


@pytest.mark.parametrize(("engine", "question", "looks"), CASES)
def test_every_engine_gives_what_memory_gives(tmp_path, engine, question, looks):
    table = deals(looks=looks)
    options = {"metrics": METRICS, "generalise_to": question}
    ours = fe.compare(table, "model", "rep_forecast", **options).to_dict()
    theirs = fe.compare(ENGINES[engine](table, tmp_path), "model", "rep_forecast", **options).to_dict()
    assert theirs == ours


def spark_rows(spark, table):
    """A table of deals as one of Spark's."""
    plain = table.astype(object).where(table.notna(), None)
    cells = (
        (c.to_pydatetime() if isinstance(c, pd.Timestamp) else c for c in row) for row in plain.to_numpy()
    )
    return spark.createDataFrame(
        [tuple(row) for row in cells],
        "deal_id string, as_of timestamp, period string, rep string, account string, won long, amount double, "
        "model double, rep_forecast double",
    )


@pytest.mark.parametrize("partitions", [1, 2])
def test_spark_gives_the_same_however_the_rows_are_cut(spark, partitions):
    table = deals(looks=2)
    rows = spark_rows(spark, in_parts(table, partitions)).repartition(partitions)
    ours = fe.compare(table, "model", "rep_forecast").to_dict()
    assert fe.compare(rows, "model", "rep_forecast").to_dict() == ours


def of_this(session, name):
    """Processes of a Java class that were started for a session, itself one of this process."""
    parents = dict(line.split() for line in subprocess.getoutput("ps -eo pid=,ppid=").splitlines())
    found = []
    for line in subprocess.getoutput("ps -eo pid=,args= -ww").splitlines():
        pid, _, words = line.strip().partition(" ")
        if name in words and session.sparkContext.applicationId in words:
            while pid in parents and pid != str(os.getpid()):
                pid = parents[pid]
            if pid == str(os.getpid()):
                found.append(int(line.split()[0]))
    return found


@pytest.mark.skipif("FORECASTEVAL_SPARK_CLUSTER" not in os.environ, reason="needs a minute and two executors")
@pytest.mark.parametrize("plug", ["executor", "driver"])
def test_a_plug_that_is_pulled_gives_a_sentence_or_the_same_figures(plug):
    words = [sys.executable, "-c", f"import test_engines; test_engines.pull('{plug}')"]
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    folder = os.path.dirname(__file__)
    run = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=here, timeout=900)
    assert run.stdout.splitlines()[-1:] == [{"executor": "the same", "driver": "a sentence"}[plug]], (
        run.stderr
    )


def pull(plug):
    """Kill an executor of two, or the driver, while a comparison runs."""
    sql = pytest.importorskip("pyspark.sql")
    builder = sql.SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false")
    options = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        "spark.log.level": "OFF",
    }
    for name, value in options.items():
        builder = builder.config(name, value)
    spark, table = builder.getOrCreate(), deals(3000, looks=2)
    rows = spark_rows(spark, table).repartition(4)
    ours = fe.compare(table, "model", "rep_forecast").to_dict()
    rows.count()  # both executors are up
    if plug == "executor":
        victim = of_this(spark, "CoarseGrainedExecutorBackend")[0]
    else:
        victim = spark.sparkContext._gateway.proc.pid
    threading.Timer(3, os.kill, (victim, signal.SIGKILL)).start()
    try:
        found = fe.compare(rows, "model", "rep_forecast").to_dict()
        print("the same" if found == ours else "a wrong number", flush=True)
    except EngineStopped:
        print("a sentence", flush=True)
    os._exit(0)  # a session without its driver cannot be stopped


def test_frames_in_memory_are_taken_as_they_are():
    table = deals()
    ours = fe.compare(table, "model", "rep_forecast").to_dict()
    import pyarrow

    assert fe.compare(pyarrow.Table.from_pandas(in_parts(table)), "model", "rep_forecast").to_dict() == ours
    polars = pytest.importorskip("polars")
    assert fe.compare(polars.from_pandas(in_parts(table)), "model", "rep_forecast").to_dict() == ours


def test_what_is_wrong_on_an_engine_is_said_at_once():
    table = deals(50).assign(won=lambda t: t["won"].where(t.index != 3, 2))
    table.loc[7, "rep"] = None
    with pytest.raises(CallError) as caught:
        fe.compare(duckdb_of(table, None), "model", "rep_forecast")
    assert "rep is empty in 1 rows" in str(caught.value)
    assert "won must be 0 or 1 in every row; 1 rows are not" in str(caught.value)
    twice = pd.concat([deals(50), deals(50).head(2)])
    with pytest.raises(CallError, match="2 rows repeat a deal at the same as-of"):
        fe.compare(duckdb_of(twice, None), "model", "rep_forecast")
    for column in ("amount", "amount_won"):
        strange = deals(50).assign(amount_won=0.0).assign(**{column: "much"})
        with pytest.raises(CallError, match=f"{column} holds 50 cells that are not numbers"):
            fe.compare(duckdb_of(strange, None), "model", "rep_forecast", metrics=["brier_by_amount"])


def test_an_outcome_that_is_a_day_is_refused():
    dated = deals(50).assign(won=pd.Timestamp("2026-02-28"))
    for made in (duckdb_of(dated, None), polars_of(dated, None)):
        with pytest.raises(CallError, match="won holds 50 cells that are not numbers"):
            fe.compare(made, "model", "rep_forecast")


def test_numbers_in_text_are_read_and_words_are_no_forecast():
    table = deals(50).dropna(subset=["model", "rep_forecast"])
    written = table.assign(
        model=table["model"].map("{:.6e}".format),
        rep_forecast=" " + table["rep_forecast"].astype(str),
        won=table["won"].astype(str),
    )
    ours = fe.compare(written, "model", "rep_forecast").to_dict()
    assert ours["comparisons"][0]["difference"] is not None
    for made in (duckdb_of(written, None), polars_of(written, None)):
        assert fe.compare(made, "model", "rep_forecast").to_dict() == ours
    words = table.assign(model="high")
    told = fe.compare(duckdb_of(words, None), "model", "rep_forecast").primary["reasons"]
    assert [r["code"] for r in told] == ["kinds_differ"]
    assert told[0]["text"].startswith(f"model holds {len(table)} cells that are not numbers")


def test_deal_ids_are_one_as_in_memory():
    table = deals(120, looks=2)
    spelt = [str, "{}.0".format, "\u00a0{} ".format, "d{}".format, "D{}".format]
    deal = table["deal_id"].str[1:]
    table["deal_id"] = [spelt[i % 5 if i % 7 else 0](d) for i, d in enumerate(deal)]
    table = table.assign(as_of=pd.to_datetime("2025-01-01") + pd.to_timedelta(range(len(table)), "D"))
    ours = fe.compare(table, "model", "rep_forecast").to_dict()
    assert "ids in deal_id are read as" in str(ours)
    for made in (in_parts(table), duckdb_of(table, None), polars_of(table, None)):
        assert fe.compare(made, "model", "rep_forecast").to_dict() == ours
    blank = table.assign(deal_id=table["deal_id"].where(table.index > 2, " "))
    with pytest.raises(CallError, match="deal_id is empty in 3 rows"):
        fe.compare(duckdb_of(blank, None), "model", "rep_forecast")


def test_slips_of_ids_are_read_as_in_memory():
    table = deals(looks=2)
    table["rep"] = table["rep"].where(table.index % 17 > 0, table["rep"].str.upper())
    table["period"] = table["period"].where(table.index % 13 > 0, table["period"] + " ")
    ours = fe.compare(table, "model", "rep_forecast")
    theirs = fe.compare(duckdb_of(table, None), "model", "rep_forecast")
    assert theirs.table["low"].tolist() == pytest.approx(ours.table["low"].tolist(), rel=1e-12)
    assert [r["code"] for r in theirs.primary["reasons"]] == [r["code"] for r in ours.primary["reasons"]]


def test_spaces_around_every_label_are_taken_off_and_too_many_spellings_are_refused():
    table = deals()
    spaced = table.assign(account=[f"a{i} " for i in range(len(table))])
    options = {"metrics": ["brier"], "generalise_to": "account"}
    ours = fe.compare(spaced, "model", "rep_forecast", **options).to_dict()
    assert fe.compare(duckdb_of(spaced, None), "model", "rep_forecast", **options).to_dict() == ours
    cased = table.assign(account=[f"{'aA'[i % 2]}{i // 2}" for i in range(len(table))]).head(396)
    few = fe.compare(duckdb_of(cased, None), "model", "rep_forecast", **options).to_dict()
    assert few == fe.compare(cased, "model", "rep_forecast", **options).to_dict()
    many = pd.concat([cased, cased.assign(deal_id="x" + cased["deal_id"], account="b" + cased["account"])])
    with pytest.raises(CallError, match="labels of account differ from others only in case"):
        fe.compare(duckdb_of(many, None), "model", "rep_forecast", **options)


def test_long_tables_are_ranked_by_steps_and_say_by_how_much_that_is_off(monkeypatch):
    from forecasteval.compare import remote
    from forecasteval.inference import auc

    table = deals(800)
    exact = fe.compare(table, "model", "rep_forecast", metrics=["auc"]).primary
    for module in (auc, remote):
        monkeypatch.setattr(module, "EXACT_ROWS", 100)
    stepped = fe.compare(table, "model", "rep_forecast", metrics=["auc"])
    assert (
        fe.compare(duckdb_of(table, None), "model", "rep_forecast", metrics=["auc"]).to_dict()
        == stepped.to_dict()
    )
    silent = table.assign(model=np.nan)
    ours = fe.compare(silent, "model", "rep_forecast", metrics=METRICS).to_dict()
    assert fe.compare(duckdb_of(silent, None), "model", "rep_forecast", metrics=METRICS).to_dict() == ours
    said = next(r["text"] for r in stepped.primary["reasons"] if r["code"] == "ranked_by_steps")
    bound = float(said.split("less than ")[1].rstrip("."))
    for value in ("candidate_value", "baseline_value"):
        assert abs(stepped.primary[value] - exact[value]) <= bound
    assert stepped.primary["se"] == pytest.approx(exact["se"], rel=0.01)


def test_reliability_from_an_engine_is_that_of_the_rows(tmp_path):
    table = deals(600).dropna(subset=["model", "rep_forecast"])
    for made in (table, *(of(table, tmp_path) for of in ENGINES.values())):
        sums = fe.cells(made, "model", "rep_forecast")
        for name in ("model", "rep_forecast"):
            ours, theirs = reliability(table[name], table["won"]), sums.reliability(name)
            assert theirs.bins() == ours.bins()
            assert theirs.miscalibration == ours.miscalibration
    with pytest.raises(
        CallError, match="There is no reliability curve of 'other': the sums are of model and"
    ):
        sums.reliability("other")
    with pytest.raises(CallError, match="hold a curve where the AUC is among the metrics"):
        fe.cells(table, "model", "rep_forecast", metrics=["brier"]).reliability("model")


def test_reliability_of_a_long_table_is_rounded_to_steps(monkeypatch):
    from forecasteval.compare import remote

    monkeypatch.setattr(remote, "EXACT_ROWS", 100)
    table = deals(600).dropna(subset=["model", "rep_forecast"])
    found = fe.cells(duckdb_of(table, None), "model", "rep_forecast").reliability("model")
    exact = reliability(table["model"].round(4), table["won"])
    assert found.bins() == [pytest.approx(step) for step in exact.bins()]
    assert found.score == pytest.approx(exact.score)


@pytest.mark.parametrize("looks", [1, 2])
def test_deals_without_an_account_are_silent_each_for_itself(looks):
    from forecasteval.compare import sql

    table = deals(1000, looks=looks).assign(rep_forecast=0.5, amount=1.0)
    hidden = np.random.default_rng(1).random(len(table)) < np.where(table["won"] == 1, 0.6, 0.2)
    table["model"] = table["model"].fillna(0.3).mask(table["account"].isna() & hidden)
    how = {"metrics": ["brier"], "generalise_to": ["account"]}
    ours = fe.compare(table, "model", "rep_forecast", **how).to_dict()
    assert "silence_tells" in [r["code"] for r in ours["comparisons"][0]["reasons"]]
    there = duckdb_of(table, None)
    assert fe.compare(there, "model", "rep_forecast", **how).to_dict() == ours
    ask = sql.Ask("model", "rep_forecast", sql.metrics_of(["brier"]), ("account",))
    query, _ = sql.queries("there", ask, "duckdb")
    found = fe.compare_cells(there.query("there", query).df(), **how).to_dict()["comparisons"][0]
    assert found["reasons"] == ours["comparisons"][0]["reasons"]
    assert found["clusters"] == ours["comparisons"][0]["clusters"]


@pytest.mark.parametrize("space", [" ", "\t", "\v", "\n"])
def test_spaces_around_some_ids_are_taken_off(space):
    table = deals(looks=2)
    ours = fe.compare(table, "model", "rep_forecast", metrics=["brier"]).to_dict()
    for spaced in (table["deal_id"] + space, space + table["deal_id"]):
        some = table.assign(deal_id=table["deal_id"].mask(np.arange(len(table)) % 5 == 0, spaced))
        there = duckdb_of(some, None)
        assert fe.compare(there, "model", "rep_forecast", metrics=["brier"]).to_dict() == ours


def test_an_engine_that_gives_no_answer_is_a_sentence():
    connection = pytest.importorskip("duckdb").connect()
    connection.register("deals", deals())
    full = "case when model > 0.5 then error('disk full') else model end as model"
    broken = connection.sql(f"select * replace ({full}) from deals")
    with pytest.raises(EngineStopped, match=r"gave no answer, so there are no figures .*disk full") as caught:
        fe.compare(broken, "model", "rep_forecast")
    assert caught.value.exit_code == 1


def test_a_table_of_ibis_on_a_real_postgresql_is_summed_up_there():
    ibis = pytest.importorskip("ibis")
    psycopg = pytest.importorskip("psycopg")
    table = deals(looks=2)
    with running() as (place, port):
        base = psycopg.connect(f"host={place} port={port} user=owner dbname=postgres", autocommit=True)
        loaded(base, "crm.matched", in_parts(table))
        there = ibis.postgres.connect(host=str(place), port=port, user="owner", database="postgres")

        def asked():
            lying = there.table("matched", database="crm")
            return fe.compare(lying, "model", "rep_forecast", metrics=METRICS).to_dict()

        found = [asked()]
        base.execute("alter table crm.matched alter won type boolean using won = 1")
        found.append(asked())
        there.disconnect()
        base.close()
    assert found == [fe.compare(table, "model", "rep_forecast", metrics=METRICS).to_dict()] * 2


def as_decimals(table):
    pa = pytest.importorskip("pyarrow")
    found = pa.Table.from_pandas(table.assign(model=table["model"].round(4)), preserve_index=False)
    at = found.column_names.index("model")
    return found.set_column(at, "model", found["model"].cast(pa.decimal128(12, 4), safe=False))


VARIANTS = {
    "forecasts as decimals": lambda t: t.assign(model=t["model"].round(4)),
    "what was booked, and no metric of money": lambda t: t.assign(
        amount_won=t["amount"].where(t["won"] == 1, 0)
    ),
    "accounts wholly empty": lambda t: t.assign(account=None),
    "reps wholly blank": lambda t: t.assign(rep=" "),
    "days as text": lambda t: t.assign(as_of=t["as_of"].dt.strftime("%Y-%m-%d")),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_tables_as_organisations_have_them_are_read_as_in_memory(variant):
    duckdb = pytest.importorskip("duckdb")
    table = VARIANTS[variant](deals(looks=2))
    arrow = as_decimals(table)
    question = {"accounts wholly empty": ("account",), "reps wholly blank": ("period",)}.get(variant)
    for metrics in (["brier"], METRICS):
        options = {"metrics": metrics, "generalise_to": question}
        ours = fe.compare(arrow, "model", "rep_forecast", **options).to_dict()
        there = duckdb.connect().from_arrow(arrow)
        assert fe.compare(there, "model", "rep_forecast", **options).to_dict() == ours


def test_days_as_text_out_of_order_are_refused_where_deals_have_several():
    table = deals(20, looks=2)
    for days in ("week %W", "%d/%m/%Y"):
        text = table.assign(as_of=table["as_of"].dt.strftime(days))
        with pytest.raises(CallError, match="as_of must hold dates, such as 2026-02-28, or text in"):
            fe.compare(duckdb_of(text, None), "model", "rep_forecast")


@pytest.mark.parametrize("lacking", [["rep"], ["rep", "period"]])
def test_tables_without_reps_answer_for_new_deals(lacking):
    table = deals().drop(columns=lacking)
    for metrics in (["auc", "brier"], METRICS):
        options = {"metrics": metrics, "generalise_to": ("deal",)}
        ours = fe.compare(table, "model", "rep_forecast", **options).to_dict()
        assert fe.compare(duckdb_of(table, None), "model", "rep_forecast", **options).to_dict() == ours


def test_spaces_of_other_alphabets_are_taken_off_labels_whatever_the_order_of_rows():
    table = deals()
    for name, space in (("rep", "\u2003"), ("period", "\u00a0")):
        table[name] = table[name].where(table.index % 17 > 0, space + table[name])
    ours = fe.compare(table, "model", "rep_forecast").to_dict()
    for made in (in_parts(table), duckdb_of(table, None), polars_of(table, None)):
        assert fe.compare(made, "model", "rep_forecast").to_dict() == ours


def test_a_baseline_that_never_speaks_is_no_silence_that_tells():
    table = deals().assign(rep_forecast=np.nan)
    ours = fe.compare(table, "model", "rep_forecast").to_dict()
    assert fe.compare(duckdb_of(table, None), "model", "rep_forecast").to_dict() == ours


def test_forecasts_of_two_kinds_without_auc_are_told_apart():
    table = deals().drop(columns=["rep", "period"])
    options = {"metrics": ["brier"], "kinds": {"model": "rank_score"}, "generalise_to": ("deal",)}
    ours = fe.compare(table, "model", "rep_forecast", **options).to_dict()
    assert fe.compare(duckdb_of(table, None), "model", "rep_forecast", **options).to_dict() == ours


def test_frames_of_arrow_types_have_their_ids_cleaned_too():
    table = deals()
    table["rep"] = table["rep"].where(table.index % 17 > 0, table["rep"].str.upper() + " ")
    arrow = table.convert_dtypes(dtype_backend="pyarrow")
    ours = fe.compare(table, "model", "rep_forecast").to_dict()
    assert fe.compare(arrow, "model", "rep_forecast").to_dict() == ours
