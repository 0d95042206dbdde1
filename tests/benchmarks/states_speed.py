"""`fe.states` beside DuckDB's own SQL for the same range join: python tests/benchmarks/states_speed.py [VERSIONS ...].

Versions are written to Parquet in a stream. Each way runs in a process of its own, on two threads, and reads every
column of its result. Seconds of CPU count where the machine does other work as well.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

import forecasteval as fe

DAYS = [date(2022, 3, 31) + timedelta(days=91 * i) for i in range(12)]
# a deal has ten versions, the last of which holds for ever; one in five says that its owner is carried
VERSIONS = """
    copy (
        select 'D' || deal as deal_id, starts as valid_from,
            case when n < 9 then starts + to_hours(200) end as valid_to,
            'r' || (hash(i) % 200) as rep, ['Talk', 'Offer', 'Test'][(hash(i) % 3)::int + 1] as stage,
            (hash(i) % 100000)::double / 100 as amount, case when n < 9 then 'open' else 'lost' end as status,
            'known' as values_state, case when hash(deal) % 5 = 0 then 'carried' else 'known' end as rep_state
        from (
            select i, i // 10 as deal, i % 10 as n,
                timestamp '2021-01-01' + to_hours((hash(i // 10) % 30000 + i % 10 * 200)::int) as starts
            from range({versions}) t(i)
        )
    ) to '{file}' (format parquet)
"""
OWN = """
    select v.deal_id, m.as_of, v.rep, v.stage, v.amount, v.status, v.values_state, v.rep_state,
        case when values_state = 'unknown' or rep_state = 'unknown' then 'unknown'
            when values_state = 'carried' or rep_state = 'carried' then 'carried' else 'known' end as state
    from read_parquet('{file}') v join {moments} m
        on v.valid_from <= m.t and coalesce(v.valid_to, timestamp '9999-01-01') > m.t {where}
"""
READ = """select count(*), count(distinct as_of), sum(hash(deal_id, as_of, rep, stage, amount, status, values_state,
    rep_state, state) % 1000003), count(*) filter (state = 'carried') from found"""
# how the moments are written decides which join DuckDB plans: pieces that are sorted and merged, or a nested loop
MOMENTS = {
    "SQL, values": "(select d as as_of, d + interval 1 day - interval 1 microsecond as t from (values {days}) l(d))",
    "SQL, unnest": "(select d as as_of, d + interval 1 day - interval 1 microsecond as t from unnest([{days}]) l(d))",
}
DAY = {"SQL, values": "(date '{}')", "SQL, unnest": "date '{}'"}
WHERE = {"all deals": "", "open deals": "where v.status not in ('won', 'lost')"}


def asked(file: str, way: str, deals: str, days: int) -> None:
    """Run one way and print what it found and cost."""
    connection = duckdb.connect()
    connection.sql("set threads = 2")
    connection.sql("set memory_limit = '1GB'")
    span = [DAYS[0] + timedelta(days=91 * 12 // days * i) for i in range(days)]
    start, cpu = time.perf_counter(), time.process_time()
    if way == "fe.states":
        found = fe.states(connection.read_parquet(file), span, open_only=deals == "open deals")
    else:
        moments = MOMENTS[way].format(days=", ".join(DAY[way].format(d) for d in span))
        found = connection.sql(OWN.format(file=file, moments=moments, where=WHERE[deals]))
    rows = [str(value) for value in found.query("found", READ).fetchall()[0]]
    cost = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - start}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"rows": rows, "peak": peak, **cost}))


def main() -> None:
    """Print a line for each size and way."""
    sizes = [int(float(a)) for a in sys.argv[1:]] or [1_000_000, 5_000_000]
    with tempfile.TemporaryDirectory() as folder:
        for versions in sizes:
            file = f"{folder}/versions.parquet"
            connection = duckdb.connect()
            connection.sql("set memory_limit = '1GB'")
            connection.execute(VERSIONS.format(versions=versions, file=file))
            print(f"{versions:,} versions, {Path(file).stat().st_size / 1e6:.0f} MB of Parquet")
            for deals, days in (("all deals", 12), ("open deals", 12), ("open deals", 260)):
                seen = {}
                for way in (*MOMENTS, "fe.states"):
                    command = [sys.executable, __file__, "one", file, way, deals, str(days)]
                    seen[way] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                    s = seen[way]
                    print(
                        f"  {deals:<10} {days:>3} moments  {way:<11} {int(s['rows'][0]):>11,} states  "
                        f"{s['cpu']:6.1f} s CPU  {s['wall']:6.1f} s wall  {s['peak']:5.0f} MB at most",
                        flush=True,
                    )
                *own, ours = seen.values()
                same = "same states" if all(o["rows"] == ours["rows"] for o in own) else "OTHER STATES"
                ratios = " and ".join(f"{ours['cpu'] / o['cpu']:.2f}" for o in own)
                print(f"  {same}; CPU of fe.states over DuckDB's own: {ratios}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        asked(*sys.argv[2:5], int(sys.argv[5]))
    else:
        main()
