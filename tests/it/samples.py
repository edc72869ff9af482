"""ROWS EXPECTED: ROWS.csv and ROWS.parquet, opened in DuckDB and pandas, make the report in the folder EXPECTED."""

import json
import math
import sys

import duckdb
import pandas

rows, expected = sys.argv[1:]
summary = json.load(open(f"{expected}/result_summary.json"))
snapshot = json.load(open(f"{expected}/final_snapshot.json"))
metrics = {metric["name"]: metric for metric in snapshot["metrics"]}
SERIES = {
    "ttft_ns": "ttft",
    "tpot_ns": "tpot",
    "latency_ns": "latency",
    "isl": "input_sequence_lengths",
    "osl": "output_sequence_lengths",
}
COUNTS = {"isl": "isl", "osl": "osl", "ttft_ns": "ttft_ns", "tpot_ns": "tpot_ns", "latency_ns": "sample_latency_ns"}
compared = 0


def counted(column):
    """How many values the report has; a series that it leaves out has none."""
    return metrics.get(COUNTS[column], {"count": 0})["count"]


def same(got, wanted, what, exact=True):
    global compared
    compared += 1
    fine = got == wanted if exact else math.isclose(got, wanted, rel_tol=1e-12)
    assert fine, f"{what}: {got!r}, expected {wanted!r}"


for table in (f"read_csv('{rows}.csv')", f"read_parquet('{rows}.parquet')"):
    ask = lambda query: duckdb.sql(query.format(table=table)).fetchall()[0]
    same(ask("SELECT count(*) FROM {table}")[0], summary["n_samples_issued"], "issued")
    same(ask("SELECT count(complete_ns) FROM {table}")[0], summary["n_samples_completed"], "completed")
    same(ask("SELECT coalesce(sum(errors::BIGINT), 0) FROM {table}")[0], metrics["tracked_samples_failed"]["value"], "failed")
    for reason, count in summary["finish_reason_counts"].items():
        same(ask(f"SELECT count(*) FROM {{table}} WHERE finish_reason = '{reason}'")[0], count, reason)
    for column, name in SERIES.items():
        stated, what = summary[name], f"{table} {column}"
        # A column of a CSV file that is empty throughout would be a text.
        kind = "DOUBLE" if column == "tpot_ns" else "BIGINT"
        count, total, least, most, mean, values = ask(
            f"WITH series AS (SELECT {column}::{kind} AS x FROM {{table}} WHERE {column} IS NOT NULL) "
            "SELECT count(x), sum(x), min(x), max(x), avg(x), list(x ORDER BY x) FROM series"
        )
        exact = column != "tpot_ns"
        same(count, counted(column), f"{what} count")
        if count == 0:
            continue
        same(total, stated["total"], f"{what} total", exact)
        same(least, stated["min"], f"{what} min")
        same(most, stated["max"], f"{what} max")
        same(mean, stated["avg"], f"{what} avg", False)
        for percentile, value in stated["percentiles"].items():
            at = math.floor(float(percentile) / 100 * (count - 1))
            same(values[at], value, f"{what} {percentile}")

csv, parquet = pandas.read_csv(f"{rows}.csv"), pandas.read_parquet(f"{rows}.parquet")
assert list(csv.columns) == list(parquet.columns)
for frame in (csv, parquet):
    for column, name in SERIES.items():
        same(frame[column].count(), counted(column), f"pandas {column} count")
        same(frame[column].sum(), summary[name].get("total", 0), f"pandas {column} total", False)
for column in csv.columns:
    for one, other in zip(csv[column], parquet[column], strict=True):
        none = pandas.isna(one) and pandas.isna(other)
        assert none or one == other, f"{column}: {one!r} in CSV, {other!r} in Parquet"
print(f"{compared} figures, {csv.shape[0]} rows, {csv.shape[1]} columns")
