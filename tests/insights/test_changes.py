"""Two runs compared: bridges without a rest, moves that count, changes that are no chance."""

import datetime as dt
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shelfwise
from shelfwise.demo import Shop, make_shop
from shelfwise.errors import InputError
from shelfwise.insights import Evidence, Section
from shelfwise.insights.bridges import CAUSES, revenue_bridge, settled, step_test
from shelfwise.insights.changes import COLUMNS, ChangesPolicy, compare
from shelfwise.insights.evidence import identified
from shelfwise.sales.har import benjamini_hochberg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sales"))
from series import series  # The made-up sales of the tests of trends.


def product(n: int, units: float, price: float = 10.0, stock: float = 20, **more: Any) -> dict:
    return {"product_id": n, "name": f"Tea {n}", "price": price, "units_sold": units,
            "stock": stock, **more}  # fmt: skip


def run(*rows: dict, period: int | None = 30, **options: Any) -> shelfwise.Analysis:
    return shelfwise.analyze(list(rows), period=period, **options)


def quick(one: shelfwise.Analysis) -> Evidence:
    """Evidence without what takes a second to draw."""
    nobody = pl.DataFrame(schema={"product_id": pl.String, "p_high": pl.Float64,
                                  "p_medium": pl.Float64, "p_low": pl.Float64})  # fmt: skip
    return Evidence.of(one, period_days=30, given={"confidence": nobody})


def row(section: Section, n: object) -> dict[str, Any]:
    return section.rows.row(by_predicate=pl.col("product_id") == str(n), named=True)


amounts = st.floats(0.01, 1e6)
sold = st.one_of(st.just(0.0), st.floats(0.01, 1e6))
catalog = st.lists(st.tuples(sold, amounts, sold, amounts, st.sampled_from("abc"), st.booleans(),
                             st.booleans()), min_size=1, max_size=12)  # fmt: skip


@given(catalog)
def test_causes_of_each_product_add_up(made: list[tuple]) -> None:
    q0, p0, q1, p1 = (np.array([m[n] for m in made]) for n in range(4))
    bridge = revenue_bridge((p0 * q0, p1 * q1), (q0, q1))
    for n, change in enumerate(p1 * q1 - p0 * q0):
        assert_adds_up([bridge[cause][n] for cause in CAUSES], change)


@settings(max_examples=25)
@given(catalog)
def test_causes_add_up_for_each_product_category_and_all(made: list[tuple]) -> None:
    rows: tuple[list[dict], list[dict]] = ([], [])
    for n, (q0, p0, q1, p1, category, one, two) in enumerate(made):
        for side, there, q, p in ((0, one, q0, p0), (1, two, q1, p1)):
            if there or n == 0:
                rows[side].append(product(n, q, p, category=category))
    section = compare(quick(run(*rows[0])), quick(run(*rows[1])))
    for one_row in section.rows.iter_rows(named=True):
        assert_adds_up([one_row[c] for c in CAUSES], one_row["revenue_change"])
    told = [*section.summary["revenue_by_category"], section.summary["revenue"]]
    for bridge in told:
        assert_adds_up([bridge[c] for c in CAUSES], bridge["change"])
        assert_adds_up([bridge["before"], bridge["change"]], bridge["after"])
    for name in ("before", "after", "change", *CAUSES):
        parts = [bridge[name] for bridge in told[:-1]]
        assert_adds_up(parts, told[-1][name])


def assert_adds_up(parts: list[float], total: float) -> None:
    scale = max(1.0, *(abs(part) for part in [*parts, total]))
    assert abs(math.fsum(parts) - total) <= 1e-9 * scale


@settings(max_examples=25)
@given(catalog)
def test_own_change_and_peer_shift_add_up_to_the_change_of_the_score(made: list[tuple]) -> None:
    before = run(*(product(n, q0, p0) for n, (q0, p0, *_) in enumerate(made)))
    after = run(*(product(n, m[2], m[3]) for n, m in enumerate(made)), profile="robust")
    for one in compare(quick(before), quick(after)).rows.iter_rows(named=True):
        assert_adds_up([one["own_change"], one["peer_shift"]], one["score_change"])
        assert_adds_up([one["score_before"], one["score_change"]], one["score_after"])


def test_a_bridge_by_hand() -> None:
    before = run(product(1, 10, 5.0, category="tea"), product(2, 10, 10.0, category="pot"))
    after = run(product(1, 20, 6.0, category="tea"), product(2, 10, 10.0, category="pot"))
    section = compare(before, after)
    one, two = row(section, 1), row(section, 2)
    # Units rose by half: 10 x 5 x 0.5, and the rest of its 10 more units is mix.
    assert (one["volume"], one["mix"], one["price"]) == (25.0, 25.0, 20.0)
    assert (two["volume"], two["mix"], two["price"]) == (50.0, -50.0, 0.0)
    assert section.summary["revenue"] == {
        "before": 150.0, "after": 220.0, "change": 70.0, "volume": 75.0, "price": 20.0,
        "mix": -25.0, "new": 0.0, "lost": 0.0,
    }  # fmt: skip
    assert [c["category"] for c in section.summary["revenue_by_category"]] == ["pot", "tea"]


def test_new_and_lost_products_have_causes_of_their_own() -> None:
    before = run(product(1, 10), product(2, 4), product(3, 0), product(4, 3), product(6, 0))
    after = run(product(1, 10), product(3, 2), product(4, 0), product(5, 7), product(6, 0))
    section = compare(before, after)
    found = {r["product_id"]: (r["status"], r["new"], r["lost"]) for r in section.rows.to_dicts()}
    assert found == {
        "1": ("kept", 0, 0), "2": ("gone", 0, -40), "3": ("started", 20, 0),
        "4": ("stopped", 0, -30), "5": ("new", 70, 0), "6": ("unsold", 0, 0),
    }  # fmt: skip
    assert row(section, 5)["reason"] == "new, brings 70.00"
    assert row(section, 2)["reason"] == "gone, brought 40.00"
    assert row(section, 2)["score_change"] is None


def test_revenue_without_units_is_in_the_bridge_too() -> None:
    bridge = revenue_bridge((np.array([5.0, 0, 9]), np.array([7.0, 3, 4])),
                            (np.array([0.0, 0, 0]), np.array([2.0, 0, 0])))  # fmt: skip
    total = sum(bridge.values())
    assert total.tolist() == [2.0, 3.0, -5.0]
    assert bridge["price"].tolist() == [-5.0, 0.0, -5.0]
    assert bridge["new"].tolist() == [0.0, 3.0, 0.0]


def test_the_new_values_under_the_old_model_are_those_of_the_model_applied() -> None:
    rows = [product(n, 10 * n, 3.0 + n, category="tea") for n in range(1, 9)]
    before = run(*rows)
    changed = [dict(r, units_sold=r["units_sold"] * (2 if n == 2 else 1) + n)
               for n, r in enumerate(rows)]  # fmt: skip
    section = compare(before, run(*changed))
    applied = run(*changed, model=before.model).products
    middle = section.rows["score_before"] + section.rows["own_change"]
    assert np.abs(middle.to_numpy() - applied["performance_score"].to_numpy()).max() < 1e-12
    assert row(section, 3)["driver"].startswith("revenue +")


def test_under_one_model_peers_shift_nothing() -> None:
    rows = [product(n, 10 * n) for n in range(1, 9)]
    before = run(*rows)
    after = run(*(dict(r, units_sold=r["units_sold"] + 5) for r in rows), model=before.model)
    assert compare(before, after).rows["peer_shift"].abs().max() == 0.0


def test_a_metric_that_only_the_old_model_weighs_is_computed_or_withheld() -> None:
    rows = [product(n, 10 * n, unit_cost=2.0 + n / 2) for n in range(1, 9)]
    before = run(*rows, profile="margin")
    after = compare(before, run(*rows))
    assert after.rows["own_change"].abs().max() < 1e-12
    without = compare(before, run(*(product(n, 10 * n) for n in range(1, 9))))
    assert without.rows["own_change"].null_count() == 8
    assert any("own change" in w.what for w in without.withheld)


def test_periods_of_other_lengths_are_not_compared() -> None:
    rows = [product(n, 10 * n) for n in range(1, 6)]
    section = compare(run(*rows, period=30), run(*rows, period=31))
    (withheld,) = section.withheld
    assert "30 and 31 days" in withheld.why
    assert section.rows["volume"].null_count() == 5
    assert section.rows["moved"].null_count() == 5
    assert section.rows["revenue_after"].null_count() == 0
    assert "revenue" not in section.summary
    months = compare(run(*rows, period=30), run(*rows, period=31), ChangesPolicy(days_apart=3))
    assert months.rows["volume"].null_count() == 0
    assert any("nothing is scaled" in told for told in months.assumptions)


def test_periods_of_unknown_length_are_not_compared_until_they_are_said() -> None:
    rows = [product(n, 10 * n) for n in range(1, 6)]
    one, two = run(*rows, period=None), run(*rows, period=None)
    assert "how long" in compare(one, two).withheld[0].why
    assert compare(one, two, period_days=90).summary["revenue"]["change"] == 0.0


def test_runs_in_two_currencies_are_refused() -> None:
    one = run(*(product(n, 10 * n, currency="EUR") for n in (1, 2)))
    two = run(*(product(n, 10 * n, currency="GBP") for n in (1, 2)))
    with pytest.raises(InputError, match="EUR and GBP"):
        compare(one, two)


@pytest.mark.parametrize(
    ("setting", "value"), [("counts_from", 0.4), ("days_apart", -1), ("false_share", 1.0)]
)
def test_a_wrong_setting_is_named(setting: str, value: float) -> None:
    rows = [product(n, 10 * n) for n in (1, 2)]
    with pytest.raises(InputError, match=setting):
        compare(run(*rows), run(*rows), ChangesPolicy(**{setting: value}))  # type: ignore[arg-type]


def test_a_move_counts_if_it_is_sure_or_has_held_for_two_runs() -> None:
    def tiers(*names: str | None) -> pl.Series:
        return pl.Series(names, dtype=pl.String)

    runs = [tiers("Low", "Low", "Low", None, "Low"),
            tiers("High", "High", "Low", "High", "High"),
            tiers("High", "Low", "Medium", "High", None)]  # fmt: skip
    doubt = [pl.Series([0.5] * 5), pl.Series([0.6, 0.6, 0.9, 0.5, 0.6]),
             pl.Series([0.6, 0.6, 0.7, 0.5, None])]  # fmt: skip
    counted, why = settled(runs, doubt, 0.7)
    assert counted[1].to_list() == ["Low", "Low", "Low", "High", "Low"]
    assert counted[2].to_list() == ["High", "Low", "Medium", "High", None]
    assert why.to_list() == ["held for two runs", None, "sure", None, None]


def given_tiers(tiers: dict[str, str], p: float) -> Evidence:
    """Evidence whose tiers are as sure as one likes."""
    products = run(*(product(int(n), 10) for n in tiers)).products
    named = pl.Series("performance_tier", [tiers[str(n)] for n in products["product_id"]])
    sure = pl.DataFrame({"product_id": list(tiers)}).with_columns(
        **{f"p_{t.lower()}": pl.lit(p) for t in ("High", "Medium", "Low")}
    )
    return Evidence(
        products.with_columns(named, pl.col("product_id").cast(pl.String)),
        dt.date(2026, 3, 1), 30, given={"confidence": sure},
    )  # fmt: skip


def test_migration_counts_what_is_sure() -> None:
    before = given_tiers({"1": "Low", "2": "High"}, 0.9)
    doubtful = compare(before, given_tiers({"1": "High", "2": "High"}, 0.69))
    assert doubtful.summary["moves_seen"] == 1
    assert doubtful.summary["moves_that_count"] == 0
    assert doubtful.summary["migration"]["Low"] == {"High": 0, "Medium": 0, "Low": 1}
    assert doubtful.summary["migration_seen"]["Low"] == {"High": 1, "Medium": 0, "Low": 0}
    assert not row(doubtful, 1)["really_changed"]
    sure = compare(before, given_tiers({"1": "High", "2": "High"}, 0.7))
    assert sure.summary["migration"]["Low"] == {"High": 1, "Medium": 0, "Low": 0}
    assert row(sure, 1)["reason"] == "from Low to High, 70% sure"


def test_a_doubtful_move_counts_once_it_has_held() -> None:
    low, high = {"1": "Low", "2": "High"}, {"1": "High", "2": "High"}
    first, second, third = (given_tiers(t, 0.6) for t in (low, high, high))
    section = compare(second, third, earlier=[first])
    assert row(section, 1)["settled_before"] == "Low"
    assert row(section, 1)["settled_after"] == "High"
    assert row(section, 1)["reason"] == "from Low to High, held for two runs"
    assert row(section, 1)["moved"]


def test_a_run_without_its_model_withholds_what_needs_it() -> None:
    rows = [product(n, 10 * n) for n in range(1, 6)]
    products = run(*rows).products.with_columns(pl.col("product_id").cast(pl.String))
    kept = Evidence(products, dt.date(2026, 3, 1), 30)
    section = compare(kept, kept)
    whats = [w.what for w in section.withheld]
    assert whats[0] == "own change and peer shift"
    assert "moves that count by their probability" in whats
    assert section.summary["revenue"]["change"] == 0.0
    assert section.rows["own_change"].null_count() == 5


def test_kept_runs_compare_as_analyses_do() -> None:
    rows = [product(n, 10 * n, 3.0 + n) for n in range(1, 9)]
    pair = [run(*rows), run(*(dict(r, units_sold=r["units_sold"] + 3) for r in rows))]
    kept = []
    for one in pair:
        products = one.products.with_columns(pl.col("product_id").cast(pl.String))
        kept.append(Evidence(products, dt.date(2026, 3, 1), 30, model=one.model))
    assert compare(*kept).rows.equals(compare(*pair).rows)


def test_runs_out_of_the_store_compare_as_they_did(tmp_path: Path) -> None:
    rows = [product(n, 10 * n, 3.0 + n, category="tea") for n in range(1, 9)]
    pair = [run(*rows), run(*(dict(r, units_sold=r["units_sold"] + 3) for r in rows))]
    kept = []
    with shelfwise.Store(data_dir=tmp_path) as store:
        for one in pair:
            saved = store.runs.save(one)
            products = identified(store.runs.products(saved).collect())
            kept.append(Evidence(products, saved.as_of, 30, model=saved.model))
    apart, before = compare(*kept), compare(*pair)
    assert apart.rows.sort("product_id").equals(before.rows.sort("product_id"))
    assert not [w for w in apart.withheld if w not in before.withheld]


def test_every_column_is_declared_in_order() -> None:
    section = compare(run(product(1, 10)), run(product(1, 11)))
    assert section.rows.columns == [c.name for c in COLUMNS]
    assert section.decisions.is_empty()


def test_movers_are_listed_by_size() -> None:
    rows = [product(n, 10 * n) for n in range(1, 9)]
    gains = [0, 5, 40, 0, -30, 0, 1, 0]
    after = run(*(dict(r, units_sold=r["units_sold"] + g)
                  for r, g in zip(rows, gains, strict=True)))  # fmt: skip
    movers = compare(run(*rows), after, ChangesPolicy(movers=2)).summary["movers"]
    assert [m["product_id"] for m in movers["revenue_up"]] == ["3", "2"]
    assert [m["product_id"] for m in movers["revenue_down"]] == ["5"]
    assert {m["product_id"] for m in movers["score_down"]} == {"5"}


@pytest.mark.parametrize(
    ("case", "most"),
    [({"lam": 5, "alpha": 0.3}, 0.065), ({"lam": 20, "phi": 0.5, "sd": 0.3, "amp": 0.8}, 0.075),
     ({"lam": 0.3, "alpha": 1}, 0.065), ({"lam": 0.1, "alpha": 2}, 0.065),
     ({"lam": 50, "phi": 0.8, "sd": 0.4}, 0.16)],
)  # fmt: skip
def test_unchanged_products_rarely_seem_to_step(case: dict[str, Any], most: float) -> None:
    units = series(np.random.default_rng(3), 4000, 104, **case)
    p = step_test(units[:, :52], units[:, 52:], 52)[1]
    assert float(np.mean(p < 0.05)) < most
    assert (benjamini_hochberg(p) <= 0.05).sum() <= 20


def test_few_of_the_steps_found_are_chance_and_most_doublings_are_found() -> None:
    chance = np.random.default_rng(3)
    n = 5000
    lam, phi = chance.choice([0.3, 1, 3, 10, 40], n), chance.choice([0, 0.5, 0.8], n)
    sd, amp = chance.choice([0.2, 0.3, 0.4], n), chance.choice([0, 0.3, 0.6], n)
    changed = chance.random(n) < 0.15
    factor = np.where(changed, 2.0 ** chance.choice([-1, 1], n), 1.0)
    before = series(chance, n, 104, lam, phi, sd, amp, 0.2)[:, :52]
    after = series(chance, n, 104, lam * factor, phi, sd, amp, 0.2)[:, 52:]
    found = benjamini_hochberg(step_test(before, after, 52)[1]) <= 0.05
    assert (found & ~changed).sum() / found.sum() < 0.06
    strong = changed & (lam >= 10)
    assert found[strong].mean() > 0.55


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop()


def year(shop: Shop, last: int) -> shelfwise.Analysis:
    period = (dt.date(last - 1, 11, 1), dt.date(last, 10, 31))
    lines = shelfwise.from_sales(
        shop.order_lines, catalog=shop.products, stock=shop.products, period=period
    )
    return shelfwise.analyze(lines)


def test_two_years_of_the_shop_show_what_was_planted(shop: Shop) -> None:
    section = compare(year(shop, 2025), year(shop, 2026))
    assert not section.withheld
    revenue = section.summary["revenue"]
    assert_adds_up([revenue[c] for c in CAUSES], revenue["change"])

    def of(story: str) -> pl.DataFrame:
        ids = [str(one) for one in shop.planted[story]]
        return section.rows.filter(pl.col("product_id").is_in(ids))

    assert set(of("dead")["status"]) == {"stopped"}
    assert set(of("new")["status"]) == {"started"}
    stepped = pl.col("q_value") <= 0.05
    assert of("rising").filter(stepped, pl.col("units_after") > pl.col("units_before")).height >= 20
    assert of("falling").filter(stepped).height >= 8
    assert of("overstocked").filter(stepped).height == 0
    told = {str(one) for story in shop.planted.values() for one in story}
    launched = shop.products.filter(pl.col("launch_date") >= dt.date(2024, 11, 1))["product_id"]
    told |= set(launched.cast(pl.String))
    # On sale in all of both years, and nothing was planted in them.
    others = section.rows.filter(~pl.col("product_id").is_in(list(told)))
    assert others.height > 300
    assert others.filter(stepped).height <= 2
    assert section.summary["moves_that_count"] < section.summary["moves_seen"]


def test_a_part_of_a_year_withholds_change_of_units(shop: Shop) -> None:
    halves = [
        shelfwise.analyze(
            shelfwise.from_sales(
                shop.order_lines, catalog=shop.products, stock=shop.products, period=period
            )
        )
        for period in (("2026-01-01", "2026-03-31"), ("2026-04-01", "2026-06-29"))
    ]
    section = compare(*halves)
    assert any("may be the season" in w.why for w in section.withheld)
    assert section.rows["q_value"].null_count() == section.rows.height


def northwind(test_data: Callable[[str], Path], first: str, last: str) -> shelfwise.Analysis:
    orders = pl.read_csv(test_data("northwind/orders.csv")).select("order_id", "order_date")
    lines = pl.read_csv(test_data("northwind/order_details.csv")).join(orders, on="order_id")
    paid = pl.col("unit_price") * pl.col("quantity") * (1 - pl.col("discount"))
    lines = lines.select("product_id", "quantity", date=pl.col("order_date").str.slice(0, 10),
                         line_total=paid)  # fmt: skip
    known = pl.read_csv(test_data("northwind/products.csv"))
    catalog = known.select(
        "product_id", name="product_name", price="unit_price", stock="units_in_stock",
        category=pl.col("category_id").cast(pl.String), discontinued=pl.col("discontinued") == 1,
    )  # fmt: skip
    sold = shelfwise.from_sales(lines, catalog=catalog, stock=catalog, period=(first, last))
    return shelfwise.analyze(sold)


def test_the_bridge_of_a_real_company_has_no_rest(test_data: Callable[[str], Path]) -> None:
    before = northwind(test_data, "1996-07-04", "1997-05-05")
    after = northwind(test_data, "1997-07-04", "1998-05-05")
    section = compare(before, after)
    revenue = section.summary["revenue"]
    assert revenue["before"] == pytest.approx(before.summary["total_revenue"])
    assert revenue["after"] == pytest.approx(after.summary["total_revenue"])
    assert_adds_up([revenue[c] for c in CAUSES], revenue["change"])
    assert len(section.summary["revenue_by_category"]) == 8
    assert any("may be the season" in w.why for w in section.withheld)
