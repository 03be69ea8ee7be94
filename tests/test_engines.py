"""One body on every engine: the judge's numbers come out, and the frame comes back as it was."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import hypothesis.strategies as st
import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings

import shelfwise
from kinds import DUCKDB, ENGINES, Engine, columns_of
from reference import Judgement, abc, judge, key, minmax, winsor
from shelfwise.engines.frames import DuckDB
from shelfwise.errors import SettingError, UnsupportedError
from shelfwise.pipeline import table as tables
from shelfwise.pipeline.table import Arrays, Frame
from shelfwise.profile import Profile

Rows = list[dict[str, Any]]
METRICS = ("revenue", "stock_ratio", "sales_velocity")


def lognormal(n: int, seed: int = 7) -> Rows:
    """A shop like most: few products sell much, many sell little."""
    rng = random.Random(seed)
    return [
        {
            "product_id": i,
            "name": f"Product {i}",
            "price": round(rng.lognormvariate(3, 1), 2),
            "units_sold": int(rng.lognormvariate(3, 1.5)),
            "stock": rng.randrange(120),
        }
        for i in range(n)
    ]


def product(i: int, price: float = 2.0, units: float = 3.0, stock: float = 4.0) -> dict[str, Any]:
    return {
        "product_id": i, "name": f"P{i}", "price": price, "units_sold": units, "stock": stock,
    }  # fmt: skip


def without(rows: Rows, name: str) -> Rows:
    return [{k: v for k, v in row.items() if k != name} for row in rows]


def equals_the_judge(got: Rows, judged: Judgement) -> None:
    """Metrics and scores to the last bit, classes exactly."""
    for i, row in enumerate(got):
        for name, value in judged.metrics[i].items():
            if name in METRICS:
                assert row[name] == value
        for name in judged.weights:
            assert row[f"contribution_{name}"] == judged.contributions[name][i]
        assert row["performance_score"] == judged.scores[i]
    assert [row["rank"] for row in got] == judged.ranks
    assert [row["performance_tier"] for row in got] == judged.tiers
    assert [row["abc_class"] for row in got] == judged.abc


CATALOGUES = {
    "a usual shop": lognormal(240),
    "one product": [product(1)],
    "two products": [product(1), product(2, units=5.0)],
    "all alike": [product(i) for i in range(7)],
    "two groups of equals": [product(i, units=float(i // 5 + 1)) for i in range(10)],
    "nothing sold": [product(i, units=0.0, price=1.0 + i) for i in range(6)],
    "nothing in stock": [product(i, stock=0.0, units=float(i)) for i in range(6)],
    "most never sold": [product(i, units=float(max(0, i - 30)), price=1.0 + i) for i in range(50)],
    "weights and litres": [product(i, price=0.1 * (i + 1), units=i / 7) for i in range(20)],
    "huge beside tiny": [
        product(1, 1e12, 1e15, 0.0), product(2, 1e-6, 1e15, 1e15), product(3, 1e12, 0.0, 0.0),
        product(4, 1e-6, 1e-9, 1.0), product(5, 1e12, 1e-9, 1e15), product(6, 1.0, 1.0, 1.0),
    ],
    "net revenue, partly": [
        product(i) | {"net_revenue": None if i % 3 == 0 else 10.0 * i - 25} for i in range(15)
    ],
}  # fmt: skip


@pytest.mark.parametrize("rows", CATALOGUES.values(), ids=CATALOGUES.keys())
def test_every_engine_equals_the_judge(frame: Engine, rows: Rows) -> None:
    analysis = shelfwise.analyze(frame(rows))
    judged = judge(rows)
    equals_the_judge(frame.read(analysis.products), judged)
    assert analysis.summary["products"] == len(rows)
    revenue = sum(found["revenue"] for found in judged.metrics)
    assert analysis.summary["total_revenue"] == pytest.approx(revenue, rel=1e-12)
    assert analysis.summary["avg_score"] == pytest.approx(sum(judged.scores) / len(rows), abs=1e-9)


def test_robust_equals_the_judge_with_winsorized_ranges(frame: Engine) -> None:
    rows = lognormal(101)
    analysis = shelfwise.analyze(frame(rows), profile="robust")
    equals_the_judge(frame.read(analysis.products), judge(rows, winsor))


def test_margin_equals_the_judge(frame: Engine) -> None:
    rows = [row | {"unit_cost": round(row["price"] * 0.6, 2)} for row in lognormal(60)]
    analysis = shelfwise.analyze(frame(rows), profile="margin")
    weights = {"gross_margin": 0.5, "stock_ratio": 0.3, "sales_velocity": 0.2}
    equals_the_judge(frame.read(analysis.products), judge(rows, minmax, weights))


def test_without_stock_the_other_weights_grow(frame: Engine) -> None:
    rows = without(lognormal(60), "stock")
    analysis = shelfwise.analyze(frame(rows))
    equals_the_judge(frame.read(analysis.products), judge(rows))
    assert [scale.weight for scale in analysis.model.scales] == pytest.approx([5 / 7, 2 / 7])
    assert "no_stock" in {warning.code for warning in analysis.warnings}


OWN = {
    "name": "own",
    "terms": {
        "revenue": {"weight": 0.4, "scaling": "rank"},
        "idle": {"weight": 0.3, "scaling": "fixed", "low": 0.0, "high": 5.0},
        "sales_velocity": {"weight": 0.3, "scaling": "winsor"},
    },
    "metrics": {"idle": {"formula": "min(stock / max(units_sold, 1), 9)", "better": "lower"}},
    "tiers": {"high": 0.1, "low": 0.3},
}


@pytest.mark.parametrize("profile", ["standard", "robust", Profile.from_dict(OWN)], ids=str)
def test_all_engines_give_the_same_bits(profile: Any) -> None:
    rows = lognormal(150)
    seen = []
    for engine in ENGINES:
        result = engine.read(shelfwise.analyze(engine(rows), profile=profile).products)
        wanted = ("performance_score", "rank", "performance_tier", "cluster", "abc_class", "flags")
        seen.append([[row[name] for name in wanted] for row in result])
    for other in seen[1:]:
        assert other == seen[0]


def test_the_same_kind_of_frame_comes_back(frame: Engine) -> None:
    given = frame(lognormal(12))
    assert type(shelfwise.analyze(given).products) is type(given)


def test_the_order_of_rows_is_kept(frame: Engine) -> None:
    if not frame.ordered:
        pytest.skip("DuckDB keeps no order")
    rows = lognormal(40)
    random.Random(3).shuffle(rows)
    products = shelfwise.analyze(frame(rows)).products
    assert frame.column(products, "product_id") == [row["product_id"] for row in rows]


def test_the_order_of_rows_changes_no_result(frame: Engine) -> None:
    rows = lognormal(80)
    shuffled = rows.copy()
    random.Random(4).shuffle(shuffled)
    wanted = ("performance_score", "performance_tier", "cluster", "rank", "abc_class")
    both = [
        {row["product_id"]: [row[name] for name in wanted] for row in frame.read(found.products)}
        for found in (shelfwise.analyze(frame(rows)), shelfwise.analyze(frame(shuffled)))
    ]
    assert both[0] == both[1]


def test_a_pandas_index_is_kept() -> None:
    pandas = pytest.importorskip("pandas")
    rows = lognormal(6)
    index = pandas.Index(list("fedcba"), name="shelf")
    given = pandas.DataFrame(rows).set_axis(index)
    products = shelfwise.analyze(given).products
    assert products.index.equals(index)
    assert products.index.name == "shelf"
    assert products.loc["a", "product_id"] == rows[5]["product_id"]


def test_a_doubled_pandas_index_is_kept() -> None:
    pandas = pytest.importorskip("pandas")
    rows = lognormal(4)
    given = pandas.DataFrame(rows).set_axis([1, 1, 2, 2])
    products = shelfwise.analyze(given).products
    assert products.index.tolist() == [1, 1, 2, 2]
    assert products["performance_score"].tolist() == judge(rows).scores


def test_a_pandas_index_is_kept_where_rows_are_skipped() -> None:
    pandas = pytest.importorskip("pandas")
    rows = lognormal(5)
    rows[1]["price"] = -1.0
    given = pandas.DataFrame(rows).set_axis(list("abcde"))
    products = shelfwise.analyze(given, on_error="skip").products
    assert products.index.tolist() == list("acde")
    kept = [row for row in rows if row["price"] > 0]
    assert products["performance_score"].tolist() == judge(kept).scores


def test_the_given_frame_is_not_changed(frame: Engine) -> None:
    rows = lognormal(10)
    given = frame(rows)
    before = frame.read(given)
    assert frame.read(shelfwise.analyze(given).products) != before
    assert frame.read(given) == before


def test_unknown_columns_pass_through(frame: Engine) -> None:
    rows = [row | {"shelf": f"S{i}", "_mine": i * 2, "z_revenue": f"kept {i}"}
            for i, row in enumerate(lognormal(12))]  # fmt: skip
    got = frame.read(shelfwise.analyze(frame(rows)).products)
    for name in ("shelf", "_mine", "z_revenue"):
        assert [row.get(name) for row in got] == [row[name] for row in rows]


def test_a_column_named_like_a_result_gives_way(frame: Engine) -> None:
    rows = [row | {"rank": "theirs", "revenue": -1.0} for row in lognormal(12)]
    got = frame.read(shelfwise.analyze(frame(rows)).products)
    assert [row["rank"] for row in got] == judge(rows).ranks
    assert [row["revenue"] for row in got] == [found["revenue"] for found in judge(rows).metrics]


def test_input_dtypes_are_kept() -> None:
    given = pl.DataFrame(lognormal(10)).with_columns(
        pl.col("product_id").cast(pl.Int32),
        pl.col("price").cast(pl.Float32),
        pl.col("stock").cast(pl.UInt16),
        category=pl.lit("x").cast(pl.Categorical),
    )
    for name, native in {"polars": given, "polars-lazy": given.lazy()}.items():
        products = shelfwise.analyze(native).products.lazy().collect()
        assert dict(products.schema) | dict(given.schema) == dict(products.schema), name


def test_arrow_and_duckdb_dtypes_are_kept() -> None:
    pa = pytest.importorskip("pyarrow")
    columns = columns_of(lognormal(10))
    given = pa.table(columns).cast(
        pa.schema([("product_id", pa.int16()), ("name", pa.large_string()),
                   ("price", pa.float32()), ("units_sold", pa.int32()), ("stock", pa.uint8())])
    )  # fmt: skip
    products = shelfwise.analyze(given).products
    assert products.schema.types[:5] == given.schema.types
    relation = duckdb.connect().from_arrow(given)
    types = shelfwise.analyze(relation).products.types[:5]
    assert types == relation.types


def test_pandas_dtypes_are_kept() -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame(lognormal(10)).astype(
        {"product_id": "int32", "price": "float32", "stock": "Int64"}
    )
    given["category"] = pandas.Categorical(["a", "b"] * 5)
    products = shelfwise.analyze(given).products
    assert products.dtypes[given.columns].tolist() == given.dtypes.tolist()


def test_missing_optional_numbers_stay_missing(frame: Engine) -> None:
    rows = [row | {"on_order": None if i % 2 else 5} for i, row in enumerate(lognormal(10))]
    got = frame.read(shelfwise.analyze(frame(rows)).products)
    assert [row["on_order"] for row in got] == [row["on_order"] for row in rows]


def test_text_numbers_become_numbers(frame: Engine) -> None:
    rows = lognormal(20)
    text = [row | {"price": f" {row['price']}", "units_sold": str(row["units_sold"])}
            for row in rows]  # fmt: skip
    got = frame.read(shelfwise.analyze(frame(text)).products)
    equals_the_judge(got, judge(rows))
    assert [row["price"] for row in got] == [row["price"] for row in rows]
    assert [row["units_sold"] for row in got] == [row["units_sold"] for row in rows]


def test_text_numbers_with_gaps_become_numbers(frame: Engine) -> None:
    rows = [row | {"on_order": None if i % 2 else "5"} for i, row in enumerate(lognormal(10))]
    got = frame.read(shelfwise.analyze(frame(rows)).products)
    assert [row["on_order"] for row in got] == [None if i % 2 else 5 for i in range(10)]


def test_huge_net_revenue_as_text_is_a_number(frame: Engine) -> None:
    rows = [row | {"net_revenue": f"{i + 1}e20"} for i, row in enumerate(lognormal(10))]
    got = frame.read(shelfwise.analyze(frame(rows)).products)
    assert [row["revenue"] for row in got] == pytest.approx([(i + 1) * 1e20 for i in range(10)])


def test_numbers_with_foreign_digits_are_no_numbers(frame: Engine) -> None:
    rows = [row | {"price": str(row["price"])} for row in lognormal(10)]
    rows[3]["price"] = "١٢"
    analysis = shelfwise.analyze(frame(rows), on_error="skip")
    assert analysis.summary["products"] + analysis.summary["skipped"] == len(rows)
    assert analysis.summary["skipped"] == len(analysis.rejected)
    assert len(frame.read(analysis.products)) == analysis.summary["products"]


def test_mixed_objects_of_pandas_are_judged_one_by_one() -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame(lognormal(4))
    given["price"] = pandas.Series([1.5, "2.5", True, None], dtype=object)
    analysis = shelfwise.analyze(given, on_error="skip")
    assert analysis.products["price"].tolist() == [1.5, 2.5]
    assert analysis.rejected["row"].to_list() == [2, 3]


def test_pandas_objects_with_its_own_missing_value_are_read() -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame(lognormal(4))
    given["category"] = pandas.Series(["a", pandas.NA, 3, None], dtype=object)
    products = shelfwise.analyze(given).products
    assert products["performance_score"].tolist() == judge(lognormal(4)).scores


def test_engine_duckdb_takes_every_frame_there(frame: Engine) -> None:
    rows = lognormal(30)
    if frame.name in ("spark", "ibis"):
        with pytest.raises(UnsupportedError, match="cannot move to duckdb"):
            shelfwise.analyze(frame(rows), engine="duckdb")
        return
    products = shelfwise.analyze(frame(rows), engine="duckdb").products
    assert isinstance(products, duckdb.DuckDBPyRelation)
    equals_the_judge(DUCKDB.read(products), judge(rows))


def test_engine_duckdb_takes_a_list() -> None:
    rows = lognormal(30)
    products = shelfwise.analyze(rows, engine="duckdb").products
    assert isinstance(products, duckdb.DuckDBPyRelation)
    equals_the_judge(DUCKDB.read(products), judge(rows))


def test_engine_polars_brings_a_relation_into_memory() -> None:
    rows = lognormal(30)
    products = shelfwise.analyze(DUCKDB(rows), engine="polars").products
    assert isinstance(products, pl.DataFrame)
    equals_the_judge(products.sort("product_id").to_dicts(), judge(rows))


def test_a_list_gives_a_polars_frame() -> None:
    rows = lognormal(30)
    products = shelfwise.analyze(rows).products
    assert isinstance(products, pl.DataFrame)
    equals_the_judge(products.to_dicts(), judge(rows))


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(shelfwise.InputError, match="cannot be analyzed"):
        shelfwise.analyze(42)
    with pytest.raises(shelfwise.InputError, match="cannot be analyzed"):
        shelfwise.analyze(row for row in lognormal(3))


# What catalogues are made of: few distinct values make ties, the others reach the limits.
prices = st.sampled_from([1e-6, 0.01, 1.0, 2.0, 9.99, 1e12]) | st.floats(1e-6, 1e12)
amounts = st.sampled_from([0.0, 0.0, 1.0, 2.0, 3.0, 1e-9, 1e15]) | st.floats(0, 1e15)


@st.composite
def catalogues(draw: st.DrawFn, most: int = 300) -> Rows:
    """1 to 300 products drawn from a few, so that ties are frequent."""
    pool = draw(st.lists(st.tuples(prices, amounts, amounts), min_size=1, max_size=12))
    n = draw(st.integers(1, most))
    rng = random.Random(draw(st.integers(0, 2**16)))
    return [product(i, *rng.choice(pool)) for i in range(n)]


@given(rows=catalogues(), profile=st.sampled_from(["standard", "robust"]))
@settings(max_examples=50)
def test_any_catalogue_in_memory_equals_the_judge(rows: Rows, profile: str) -> None:
    products = shelfwise.analyze(rows, profile=profile).products
    equals_the_judge(products.to_dicts(), judge(rows, winsor if profile == "robust" else minmax))
    scores = products["performance_score"]
    assert 0 <= scores.min() <= scores.max() <= 100


@given(rows=catalogues(150), profile=st.sampled_from(["standard", "robust"]))
@settings(max_examples=6, phases=[Phase.generate])  # shrinking there takes minutes
def test_any_catalogue_on_duckdb_equals_the_judge(rows: Rows, profile: str) -> None:
    products = shelfwise.analyze(DUCKDB(rows), profile=profile).products
    judged = judge(rows, winsor if profile == "robust" else minmax)
    equals_the_judge(DUCKDB.read(products), judged)


@given(rows=catalogues(60))
@settings(max_examples=25)
def test_no_answer_holds_nan_or_infinity(rows: Rows) -> None:
    products = shelfwise.analyze(without(rows, "stock")).products
    for name, dtype in products.schema.items():
        if dtype.is_float():
            assert products[name].is_finite().all(), name
    assert 0 <= products["performance_score"].min() <= products["performance_score"].max() <= 100


def adversarial(kind: str) -> Rows:
    """Catalogues that make counting in bins hard, larger than the limits set below."""
    rng = random.Random(11)
    if kind == "one giant":  # everything else falls into the first bin, again and again
        rows = [product(i, 1.0, rng.randrange(50) * 1e-6, 1.0) for i in range(700)]
        return [*rows, product(700, 1e12, 1e15, 0.0)]
    if kind == "ties at every cut":
        return [product(i, 1.0 + i // 200, float(i // 200), 10.0) for i in range(1000)]
    if kind == "neighbours":  # scores a few units of 1e-9 apart, around the cuts
        rows = [product(i, 1.0, 1.0 + 1e-11 * rng.randrange(40), 5.0) for i in range(600)]
        return [*rows, product(600, 1.0, 2.0, 5.0), product(601, 1.0, 0.0, 5.0)]
    if kind == "mostly zero":
        return [product(i, 1.0 + i, float(max(0, i - 800)), float(i % 3)) for i in range(1000)]
    assert kind == "staircase"
    return [product(i, 4.0 ** -(i % 9), 3.0 ** (i % 14), 2.0 ** (i % 7)) for i in range(900)]


KINDS = ("one giant", "ties at every cut", "neighbours", "mostly zero", "staircase")


@pytest.mark.parametrize("kind", KINDS)
def test_cuts_found_by_refining_bins_equal_the_judge(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "COLLECT", 20)
    monkeypatch.setattr(tables, "BINS", 8)
    rows = adversarial(kind)
    profile, fit = (
        ("robust", winsor) if kind in ("mostly zero", "staircase") else ("standard", minmax)
    )
    products = shelfwise.analyze(DUCKDB(rows), profile=profile).products
    equals_the_judge(DUCKDB.read(products), judge(rows, fit))


@pytest.mark.parametrize("kind", ["one giant", "mostly zero", "staircase"])
def test_clusters_of_a_coreset_are_the_same_in_memory_and_on_duckdb(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFWISE_CORESET_ROWS", "50")
    rows = adversarial(kind)
    memory, lazy = shelfwise.analyze(rows), shelfwise.analyze(DUCKDB(rows))
    assert dict(lazy.model.centers).keys() == dict(memory.model.centers).keys()
    for (label, center), (_, other) in zip(memory.model.centers, lazy.model.centers, strict=True):
        assert other == pytest.approx(center, abs=1e-9), label
    there = [row["cluster"] for row in DUCKDB.read(lazy.products)]
    assert there == memory.products["cluster"].to_list()


def lazy_table(values: list[float]) -> Frame:
    relation = DUCKDB({"x": values})
    return Frame(nw.from_native(relation), len(values), DuckDB())


# Wide and narrow ranges together; a number repeated many times is an adversary too.
numbers = st.floats(-1e27, 1e27) | st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 1e-300, -5.0, 1e27])
columns_with_ties = st.lists(st.tuples(numbers, st.integers(1, 30)), min_size=1, max_size=25).map(
    lambda runs: [value for value, times in runs for _ in range(times)]
)


@given(values=columns_with_ties)
@settings(max_examples=20)
def test_order_statistics_in_bins_are_exact(values: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "COLLECT", 4)
        patch.setattr(tables, "BINS", 4)
        n = len(values)
        positions = [0, n - 1, n // 2, n // 5, (4 * n) // 5]
        expected = [sorted(values)[position] for position in positions]
        assert lazy_table(values).order_statistics("x", positions) == expected
        assert Arrays({"x": np.array(values)}).order_statistics("x", positions) == expected


@given(values=columns_with_ties)
@settings(max_examples=20)
def test_shares_in_bins_class_as_the_judge_does(values: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "COLLECT", 4)
        patch.setattr(tables, "BINS", 4)
        for table in (lazy_table(values), Arrays({"x": np.array(values)})):
            a, b = table.shares("x", (0.80, 0.95))
            classes = ["N" if not v > 0 else "A" if v >= a else "B" if v >= b else "C"
                       for v in values]  # fmt: skip
            assert classes == abc(values)


@given(values=columns_with_ties)
@settings(max_examples=15)
def test_ranks_in_bins_are_exact(values: list[float]) -> None:
    ordered = sorted(values, reverse=True)
    expected = sorted((value, ordered.index(value) + 1) for value in values)
    ranked = lazy_table(values).rank("x", "rank").frame.collect(backend="polars")
    assert sorted(zip(ranked["x"].to_list(), ranked["rank"].to_list(), strict=True)) == expected
    here = Arrays({"x": np.array(values)}).rank("x", "rank").columns
    assert sorted(zip(here["x"].tolist(), here["rank"].tolist(), strict=True)) == expected


def test_scores_that_agree_to_a_billionth_are_tied(frame: Engine) -> None:
    # The second score is 33.3333333330, the third 33.33333333301: one key.
    rows = [product(i, 1.0, units, 0.0) for i, units in enumerate([0.0, 1.0, 1.0 + 1e-13, 3.0])]
    judged = judge(rows)
    assert judged.scores[1] != judged.scores[2]
    assert key(judged.scores[1]) == key(judged.scores[2])
    got = frame.read(shelfwise.analyze(frame(rows)).products)
    assert got[1]["rank"] == got[2]["rank"]


@pytest.mark.parametrize("setting", ["lots", "2", "-1GB"])
def test_a_limit_that_is_none_is_refused(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFWISE_DUCKDB_MEMORY", setting)
    with pytest.raises(SettingError, match="SHELFWISE_DUCKDB_MEMORY"):
        shelfwise.analyze([product(n) for n in range(3)], engine="duckdb")


@pytest.mark.slow
def test_duckdb_spills_where_its_limit_is_below_the_data(tmp_path: Path) -> None:
    """1 M products with long names, 100 MB of memory: the same answer, from the disk."""
    path = tmp_path / "many.parquet"
    rng = np.random.default_rng(4)
    n = 1_000_000
    pl.DataFrame(
        {
            "product_id": np.arange(n),
            "name": [f"{i:0200}" for i in range(n)],
            "price": rng.lognormal(3, 1, n),
            "units_sold": rng.integers(0, 500, n),
            "stock": rng.integers(0, 500, n),
        }
    ).write_parquet(path)
    code = (
        "import sys, shelfwise; a = shelfwise.analyze(sys.argv[1], engine='duckdb'); "
        "print(a.summary['tiers'], a.model.cut_high, a.model.cut_low, a.summary['top_product'])"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code, path],
            env=os.environ | limits,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for limits in (
            {},
            {"SHELFWISE_DUCKDB_MEMORY": "100MB", "SHELFWISE_DUCKDB_FOLDER": str(tmp_path / "s")},
        )
    ]
    assert found[0] == found[1]
