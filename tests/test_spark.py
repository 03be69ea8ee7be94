"""What only Spark does: tables and folders, plans without a global window, large products."""

import datetime as dt
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import shelfwise
from kinds import SPARK, spark_session
from shelfwise import tables
from shelfwise.cli import app
from shelfwise.engines import spark
from shelfwise.engines.frames import keeper
from shelfwise.errors import EngineError, InputError, NotFoundError, OutputError, UnreadableError
from shelfwise.pipeline import table as limits
from shelfwise.pipeline.table import Arrays, Frame
from shelfwise.sales import products as counted
from shelfwise.sales import reading

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module", autouse=True)
def session() -> Any:
    return spark_session()


@pytest.fixture
def table(session: Any) -> Iterator[str]:
    """The name of a table that does not exist yet, and is gone afterwards."""
    name = f"t{time.time_ns()}"
    yield name
    for suffix in ("", "_rejected", "_quality"):
        session.sql(f"DROP TABLE IF EXISTS {name}{suffix}")


def some_products(n: int = 400, seed: int = 5) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "product_id": [f"p{i:05}" for i in range(n)],
            "name": [f"Product {i}" for i in range(n)],
            "price": rng.lognormal(2, 1, n).round(2) + 0.01,
            "units_sold": rng.poisson(20, n).astype(float),
            "stock": rng.poisson(9, n),
        }
    )


def some_lines(n: int = 4_000, products: int = 300, seed: int = 6) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    ids = (products * rng.random(n) ** 2).astype(int)
    days = rng.integers(0, 90, n)
    return pl.DataFrame(
        {
            "order_id": [f"C{i}" if i % 50 == 0 else str(i) for i in range(n)],
            "product_id": ["POST" if i == 7 else f" p{i}" for i in ids],
            "name": [f"Product {i}" if rng.random() < 0.9 else "lost" for i in ids],
            "date": [dt.date(2026, 1, 1) + dt.timedelta(days=int(day)) for day in days],
            "quantity": rng.choice([1, 2, 3, -1], n, p=[0.4, 0.15, 0.1, 0.35]),
            "unit_price": rng.choice([0.0, 4.5, 9.99], n, p=[0.02, 0.5, 0.48]),
            "cost": rng.choice([2.0, 3.0], n),
        }
    )  # fmt: skip


def rows_of(frame: Any, by: str = "product_id") -> list[dict[str, Any]]:
    return sorted(SPARK.read(frame), key=lambda row: row[by])


def test_each_run_adds_its_rows_to_the_tables(session: Any, table: str) -> None:
    sold = shelfwise.from_sales(SPARK(some_lines().to_dict(as_series=False)))
    analysis = shelfwise.analyze(sold)
    first = tables.write(analysis, table, "append")
    second = tables.write(analysis, table, "append", dt.date(2026, 4, 30))
    assert first.run_id != second.run_id
    assert (first.as_of, second.as_of) == (sold.period[1], dt.date(2026, 4, 30))
    kept = session.table(table)
    assert kept.columns == ["run_id", "as_of", *analysis.products.columns]
    runs = {(row.run_id, row.as_of): row["count"] for row in kept.groupBy("run_id", "as_of")
            .count().collect()}  # fmt: skip
    assert runs == {(run.run_id, run.as_of): analysis.products.height for run in (first, second)}
    mine = rows_of(kept.where(f"run_id = '{first.run_id}'").drop("run_id", "as_of"))
    assert mine == analysis.products.sort("product_id").to_dicts()
    rejected = session.table(f"{table}_rejected")
    assert rejected.columns == ["run_id", "as_of", *tables.REJECTED]
    assert rejected.count() == 2 * analysis.rejected.height > 0
    quality = session.table(f"{table}_quality").where(f"run_id = '{second.run_id}'")
    assert quality.columns == ["run_id", "as_of", *tables.QUALITY]
    found = {row.finding: row for row in quality.collect()}
    assert found["all_lines"].lines == 4_000
    assert found["returned"].lines == sold.quality["returned"].lines
    tables.write(analysis, table, "overwrite")
    assert session.table(table).select("run_id").distinct().count() == 1
    with pytest.raises(OutputError, match="already"):
        tables.write(analysis, table, "error")


def test_a_table_by_name_and_files_of_each_kind_give_the_same(
    session: Any, table: str, tmp_path: Path
) -> None:
    products = some_products()
    expected = shelfwise.analyze(products).products.to_dicts()
    spark.of_frame(products).write.saveAsTable(table)
    folder = tmp_path / "many files"
    folder.mkdir()
    for part in (0, 1):
        half = products[part * 200 : part * 200 + 200]
        half.write_parquet(folder / f"{part}.parquet")
        half.write_csv(tmp_path / f"half_{part}.csv", separator=";")
    products.write_ndjson(tmp_path / "all.ndjson")
    products.write_ipc(tmp_path / "all.arrow")
    for source in (table, folder, f"{folder}/*.parquet", f"{tmp_path}/half_*.csv",
                   tmp_path / "all.ndjson", tmp_path / "all.arrow"):  # fmt: skip
        analysis = shelfwise.analyze(source, engine="spark")
        for row, wanted in zip(rows_of(analysis.products), expected, strict=True):
            assert row == wanted, source
    with pytest.raises(NotFoundError, match="no table"):
        shelfwise.analyze("nothing.here", engine="spark")
    with pytest.raises(NotFoundError, match="no file"):
        shelfwise.analyze(tmp_path / "nothing.parquet", engine="spark")


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson"])
def test_spark_writes_folders(tmp_path: Path, kind: str) -> None:
    products = shelfwise.analyze(SPARK(some_products(30).to_dict(as_series=False))).products
    target = tmp_path / f"out.{kind}"
    spark.write(products, str(target), "error", kind)
    assert (target / "_SUCCESS").exists()
    assert len(rows_of(spark.read(target))) == 30
    with pytest.raises(OutputError, match="already"):
        spark.write(products, str(target), "error", kind)
    spark.write(products, str(target), "overwrite", kind)
    with pytest.raises(InputError, match="mode is 'replace'"):
        spark.write(products, str(target), "replace", kind)


def test_products_too_many_for_memory_stay_on_spark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = some_lines()
    catalog = pl.DataFrame({"sku": [f"p{i}" for i in range(290, 320)],
                            "name": [f"Listed {i}" for i in range(290, 320)],
                            "price": ["3.5"] * 30})  # fmt: skip
    ids = [f"p{i}" for i in range(320)]
    stock = pl.DataFrame({"product_id": [*ids, "p1", "POST"], "stock": range(322)})
    given = {"catalog": catalog, "stock": stock}
    memory = shelfwise.from_sales(lines, **given)
    monkeypatch.setattr(reading, "EXAMINED", 50)
    there = shelfwise.from_sales(SPARK(lines.to_dict(as_series=False)), **given)
    assert spark.is_frame(there.products)
    assert there.period == memory.period
    assert there.not_scored == memory.not_scored == memory.set_aside.height > 0
    assert [f.name for f in there.quality.findings] == [f.name for f in memory.quality.findings]
    for mine, theirs in zip(there.quality.findings, memory.quality.findings, strict=True):
        assert (mine.lines, mine.products) == (theirs.lines, theirs.products), mine.name
        assert mine.revenue == pytest.approx(theirs.revenue, abs=1e-9)
    found = shelfwise.analyze(there)
    expected = shelfwise.analyze(memory)
    assert spark.is_frame(found.products)
    wanted = expected.products.sort("product_id").to_dicts()
    for row, other in zip(rows_of(found.products), wanted, strict=True):
        for name, value in other.items():
            close = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            assert row[name] == close, (name, row["product_id"])
    assert found.summary["skipped"] == expected.summary["skipped"]
    monkeypatch.setattr(counted, "EXAMINED", 3)
    again = shelfwise.from_sales(SPARK(lines.to_dict(as_series=False)), **given)
    assert again.set_aside.height == 3
    assert again.not_scored == memory.not_scored


TIED = {
    "one value": np.full(500, 7.0),
    "two values": np.repeat([1.0, 1.0 + 2**-52], 250),
    "one giant": np.append(np.ones(499), 1e27),
    "many ties": np.repeat(np.arange(25.0), 20),
    "wide": np.append(np.geomspace(1e-300, 1e27, 480), np.zeros(20)),
}


@pytest.mark.parametrize("kind", list(TIED))
def test_cuts_and_ranks_are_exact_with_adversarial_ties(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(limits, "DIRECT", 5)
    monkeypatch.setattr(limits, "COLLECT", 7)
    values = TIED[kind]
    lazy = nw.from_native(SPARK({"x": values.tolist()}))
    frame, arrays = Frame(lazy, len(values), keeper(lazy)), Arrays({"x": values})
    places = [0, 1, 99, 250, 251, 498, 499]
    assert frame.order_statistics("x", places) == arrays.order_statistics("x", places)
    ranked = frame.rank("x", "rank").frame.collect(backend="polars").to_native().sort("x")
    expected = arrays.rank("x", "rank").columns
    assert sorted(ranked["rank"]) == sorted(expected["rank"].tolist())


def test_no_window_runs_over_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = some_products().with_columns(category=pl.col("product_id").str.slice(-1))
    found = shelfwise.analyze(SPARK(rows.to_dict(as_series=False)), group_by="category")
    plan = found.products._jdf.queryExecution().executedPlan().toString()
    windows = re.findall(r"windowspecdefinition\((.*?), ", plan)
    assert windows, "ranks within a group need a window"
    # The first thing in a window's definition is what it is partitioned by.
    assert all(re.match(r"(_group|_bin)#", first) for first in windows), windows


def test_a_corrupt_file_in_a_folder_is_named(tmp_path: Path) -> None:
    for part in range(3):
        some_lines(100, seed=part).write_parquet(tmp_path / f"{part}.parquet")
    whole = (tmp_path / "1.parquet").read_bytes()
    (tmp_path / "1.parquet").write_bytes(whole[:2_000] + b"\0" * (len(whole) - 2_000))
    for engine in (None, "spark"):
        with pytest.raises(UnreadableError, match=r"1\.parquet") as caught:
            shelfwise.from_sales(tmp_path, engine=engine)  # type: ignore[arg-type]
        assert len(str(caught.value)) < 600


def test_a_killed_job_leaves_nothing_behind(session: Any, tmp_path: Path) -> None:
    slow = session.range(0, 10**12, numPartitions=4).selectExpr("id % 7 AS a").distinct()
    target = tmp_path / "out.parquet"
    timer = threading.Timer(4.0, session.sparkContext.cancelAllJobs)
    timer.start()
    with pytest.raises(EngineError, match="Spark could not finish"):
        spark.write(slow, str(target), "error")
    timer.join()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes; only root may have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if made.returncode:
        pytest.skip(f"a disk cannot be mounted: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("kind", spark.KINDS)
def test_a_full_disk_leaves_what_was_there(session: Any, small_disk: Path, kind: str) -> None:
    large = session.range(0, 2_000_000, numPartitions=4).selectExpr("id", "uuid() AS text")
    old, new = small_disk / f"old.{kind}", small_disk / f"new.{kind}"
    spark.write(large.limit(10), str(old), "error", kind)
    told = r"cannot be written: No space left on device"
    for target in (old, new):
        with pytest.raises(OutputError, match=told):
            spark.write(large, str(target), "append", kind)
    assert [path.name for path in small_disk.iterdir()] == [old.name]
    assert spark.read(old).count() == 10
    assert not list(old.glob("_temporary"))
    spark.check_target(str(new), [""], "error")  # It can be tried again.


def test_what_is_there_is_refused_before_anything_is_read(
    session: Any, table: str, tmp_path: Path
) -> None:
    session.sql(f"CREATE TABLE {table}_quality (a INT) USING parquet")
    (tmp_path / "out.parquet").mkdir()
    for target, told in (
        (table, f"{table}_quality is there already"),
        (f"none_of_this.{table}", "There is no schema none_of_this"),
        (str(tmp_path / "out.parquet"), r"out\.parquet is there already"),
    ):
        command = ["analyze", "none.parquet", "--engine", "spark", "-o", target]
        result = CliRunner().invoke(app, command)
        assert re.search(told, str(result.exception)), result.output


def test_what_was_kept_is_let_go(session: Any) -> None:
    import gc

    analysis = shelfwise.analyze(SPARK(some_products(50).to_dict(as_series=False)))
    kept = [frame.storageLevel.useMemory for frame in analysis.table.keeper._kept]
    assert any(kept)
    frames = list(analysis.table.keeper._kept)
    del analysis
    gc.collect()
    assert not any(frame.storageLevel.useMemory for frame in frames)


JOB = """
import json, sys
import shelfwise

sold = shelfwise.from_sales(sys.argv[1], engine="spark")
scored = shelfwise.analyze(shelfwise.engines.spark.of_frame(sold.products))
scored.products.write.parquet(sys.argv[2])
print("SUMMARY", json.dumps(scored.summary))
"""


@pytest.mark.parametrize("way", ["spark-submit", "connect"])
def test_a_job_gives_the_same_by_submit_and_by_connect(tmp_path: Path, way: str) -> None:
    some_lines().write_parquet(tmp_path / "lines.parquet")
    expected = shelfwise.analyze(shelfwise.from_sales(tmp_path / "lines.parquet"))
    (tmp_path / "job.py").write_text(JOB)
    job = [tmp_path / "job.py", tmp_path / "lines.parquet", f"file:{tmp_path}/out.parquet"]
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME", "PYTHONPATH")
                   if name in os.environ}  # fmt: skip
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    if way == "connect":
        # A server of its own, on this machine; the client speaks to it by gRPC only.
        environment["SPARK_REMOTE"] = "local[2]"
        command = [sys.executable]
    else:
        submit = Path(sys.executable).parent / "spark-submit"
        command = [str(submit), "--master", "local[2]", "--conf", "spark.ui.enabled=false"]
    done = subprocess.run(
        [*command, *map(str, job)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    told = [line for line in done.stdout.splitlines() if line.startswith("SUMMARY")]
    assert told, done.stderr[-3_000:]
    summary = json.loads(told[0].removeprefix("SUMMARY "))
    assert summary["tiers"] == expected.summary["tiers"]
    assert summary["clusters"] == expected.summary["clusters"]
    assert summary["total_revenue"] == pytest.approx(expected.summary["total_revenue"], rel=1e-12)
    assert (
        pl.read_parquet(tmp_path / "out.parquet" / "*.parquet").height
        == expected.summary["products"]
    )


def test_the_command_line_gives_the_same_as_with_duckdb(tmp_path: Path) -> None:
    some_lines().write_parquet(tmp_path / "lines.parquet")
    shown = []
    for more in ([], ["--engine", "spark", "--mode", "overwrite"]):
        out = str(tmp_path / ("there.parquet" if more else "here.parquet"))
        command = ["analyze", "--sales", str(tmp_path / "lines.parquet"), "-o", out, *more]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        files = [str(path) for path in Path(out).glob("*.parquet")] if more else out
        shown.append(pl.read_parquet(files).sort("product_id"))
    assert shown[0].drop("net_revenue", "revenue").columns == (
        shown[1].drop("net_revenue", "revenue").columns
    )
    tiers = [frame.select("product_id", "performance_tier", "cluster", "rank") for frame in shown]
    assert tiers[0].equals(tiers[1])
    for wrong in (["--mode", "replace", "-o", "x.parquet"], ["--as-of", "today", "-o", "x"]):
        command = ["analyze", "--sales", str(tmp_path / "lines.parquet"), "--engine", "spark"]
        assert CliRunner().invoke(app, [*command, *wrong]).exit_code == 2
    assert CliRunner().invoke(app, ["analyze", "x.csv", "--mode", "append"]).exit_code == 2


def test_what_spark_cannot_take_is_said(session: Any, table: str, tmp_path: Path) -> None:
    products = some_products(20)
    with pytest.raises(InputError, match="dots in their names"):
        shelfwise.analyze(SPARK(products.with_columns(pl.lit(1).alias("Order No."))
                                .to_dict(as_series=False)))  # fmt: skip
    own = shelfwise.analyze(products.with_columns(AS_OF=pl.lit("x")))
    with pytest.raises(InputError, match="column AS_OF of their own"):
        tables.write(own, table, "append")
    assert not session.catalog.tableExists(f"{table}_quality")
    text = "sku;name;price;units_sold;stock\nÄ1;Lämp;2;3;4\nÖ1;Tür;2;3;4\n"
    (tmp_path / "old.csv").write_bytes(text.encode("cp1252"))
    read = shelfwise.analyze(tmp_path / "old.csv", engine="spark").products
    assert {(row["product_id"], row["name"]) for row in SPARK.read(read)} == {
        ("Ä1", "Lämp"), ("Ö1", "Tür")
    }  # fmt: skip
    for more in (["--format", "csv"], ["-o", "-"]):
        products.write_parquet(tmp_path / "p.parquet")
        command = ["analyze", str(tmp_path / "p.parquet"), "--engine", "spark", *more]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        assert "performance_score" in result.stdout


def test_progress_is_told_while_spark_works(session: Any) -> None:
    seen: set[float | None] = set()
    slow = session.range(0, 400_000_000, numPartitions=40).selectExpr("sum(hash(id)) AS a")
    worker = threading.Thread(target=slow.collect)
    worker.start()
    while worker.is_alive():
        seen.add(spark.progress())
        time.sleep(0.02)
    worker.join()
    assert any(done is not None and 0 < done < 1 for done in seen), seen
    assert spark.progress() is None
