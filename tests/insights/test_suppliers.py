"""Suppliers: two parts of a card, shrinkage, intervals of ranks, receipts that cannot be used."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shelfwise
from shelfwise.demo import Shop, make_shop
from shelfwise.errors import InputError
from shelfwise.insights.cards import Floats
from shelfwise.insights.decisions import ACTIONS, Section
from shelfwise.insights.deliveries import by_supplier, read_receipts
from shelfwise.insights.shrinkage import Shares, places, within_variance
from shelfwise.insights.suppliers import (
    COLUMNS,
    DELIVERY,
    RANGE,
    SuppliersPolicy,
    suppliers,
)
from shelfwise.sales.prices import LEVEL, normal_normal

END = dt.date(2026, 10, 31)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop()


@pytest.fixture(scope="module")
def found(shop: Shop) -> Section:
    sold = shelfwise.from_sales(shop.order_lines, catalog=shop.products)
    return suppliers(shelfwise.analyze(sold), receipts=shop.receipts, as_of=END)


def products(count: int = 12, names: str = "ABC", **more: Any) -> list[dict[str, Any]]:
    return [
        {"product_id": n, "name": f"No. {n}", "price": 10.0, "units_sold": 3 + n, "stock": 20,
         "supplier": names[n % len(names)], "category": "Tea", "unit_cost": 4.0} | more
        for n in range(count)
    ]  # fmt: skip


def receipt(product: int | str = 1, **more: Any) -> dict[str, Any]:
    return {"supplier": "A", "product_id": product, "ordered": "2026-01-05",
            "promised": "2026-01-15", "received": "2026-01-14", "ordered_quantity": 10,
            "received_quantity": 10} | more  # fmt: skip


def row(section: Section, name: str) -> dict[str, Any]:
    return section.rows.filter(supplier=name).row(0, named=True)


def test_the_unreliable_supplier_is_found_by_name(shop: Shop, found: Section) -> None:
    assert found.decisions["supplier"].to_list() == shop.planted["unreliable_supplier"]
    worst = found.decisions.row(0, named=True)
    assert worst["action"] == "renegotiate"
    assert worst["confidence"] > 0.999
    assert (worst["otif_place_low"], worst["otif_place_high"]) == (25, 25)
    assert worst["otif_low"] < worst["otif_counted"] + 0.05 < worst["otif_high"] + 0.05
    assert "Plan with 26 days of lead time instead of 21." in worst["reason"]
    # Its products sell as well as those of others: the two parts are kept apart.
    assert worst["score_place_low"] < 13


def test_the_sole_supplier_of_a_category_is_found_by_name(shop: Shop) -> None:
    one = pl.col("category") == "Pet Supplies"
    alone = shop.products.with_columns(
        supplier=pl.when(one).then(pl.lit("Zanzibimble")).otherwise(
            pl.col("supplier").replace("Zanzibimble", "Oddsock"))
    )  # fmt: skip
    analysis = shelfwise.analyze(alone)
    section = suppliers(analysis, as_of=END)
    assert section.decisions["supplier"].to_list() == ["Zanzibimble"]
    sole = section.decisions.row(0, named=True)
    assert sole["action"] == "second_source"
    assert sole["sole_categories"] == "Pet Supplies"
    assert sole["money"] == pytest.approx(alone.filter(one)["net_revenue"].sum())
    assert sole["reason"].startswith("It is the only supplier of Pet Supplies, and 7% of all")
    # Receipts show that others have delivered the same products.
    assert suppliers(analysis, receipts=shop.receipts, as_of=END).decisions.filter(
        action="second_source").is_empty()  # fmt: skip


def test_sums_of_the_range_are_those_of_its_products(shop: Shop, found: Section) -> None:
    one = row(found, "Lastwick")
    theirs = shelfwise.analyze(
        shelfwise.from_sales(shop.order_lines, catalog=shop.products)
    ).products.filter(supplier="Lastwick")
    assert one["products"] == theirs.height
    assert one["revenue"] == pytest.approx(theirs["revenue"].sum())
    assert one["score_mean"] == pytest.approx(theirs["performance_score"].mean())
    assert found.rows["revenue_share"].sum() == pytest.approx(1)
    assert found.summary["hhi"] == pytest.approx((found.rows["revenue_share"] ** 2).sum())
    assert found.summary["effective_suppliers"] == pytest.approx(1 / found.summary["hhi"])


def test_overstock_and_dead_stock_are_those_of_inventory(shop: Shop) -> None:
    from shelfwise.insights import Evidence
    from shelfwise.insights.inventory import inventory

    sold = shelfwise.from_sales(shop.order_lines, catalog=shop.products)
    analysis = shelfwise.analyze(sold)
    known = Evidence.of(analysis, as_of=END)
    rows = inventory(known).rows
    section = suppliers(analysis, as_of=END, given={"inventory": rows, **known.given})
    for name in ("stock_money", "overstock_money", "dead_money"):
        theirs = rows.group_by("supplier").agg(pl.col(name).sum())
        for supplier, money in theirs.iter_rows():
            if supplier is not None:
                assert row(section, supplier)[name] == pytest.approx(money)
    assert section.rows["dead_money"].sum() > 0
    assert section.rows["overstock_money"].sum() > 0
    assert set(section.rows["stock_basis"]) == {"cost"}


def test_northwind_depends_on_the_suppliers_that_it_is_known_to(test_data: Any) -> None:
    lines = pl.read_csv(test_data("northwind/order_details.csv")).with_columns(
        net=pl.col("unit_price") * pl.col("quantity") * (1 - pl.col("discount"))
    )
    sold = lines.group_by("product_id").agg(
        units_sold=pl.col("quantity").sum(), net_revenue=pl.col("net").sum()
    )
    names = pl.read_csv(test_data("northwind/suppliers.csv")).select("supplier_id", "company_name")
    catalogue = pl.read_csv(test_data("northwind/products.csv")).join(sold, on="product_id")
    given = catalogue.join(names, on="supplier_id").select(
        "product_id", "units_sold", "net_revenue", name="product_name", price="unit_price",
        stock="units_in_stock", category=pl.col("category_id").cast(pl.String),
        supplier="company_name",
    )  # fmt: skip
    section = suppliers(shelfwise.analyze(given))
    assert section.rows.height == 29
    assert section.rows["revenue"].sum() == pytest.approx(1_265_793.04, abs=0.05)
    best = section.rows.row(0, named=True)
    assert best["supplier"] == "Aux joyeux ecclésiastiques"
    top = given.filter(supplier=best["supplier"])
    assert best["revenue"] == pytest.approx(top["net_revenue"].sum())
    # Two products say little: the places of the supplier that earns most are wide.
    assert best["score_place_high"] - best["score_place_low"] > 10
    assert section.decisions.is_empty()


def test_every_column_is_declared_and_every_number_has_a_meaning(found: Section) -> None:
    assert found.rows.columns == [column.name for column in COLUMNS]
    assert {c.name for c in RANGE} & {c.name for c in DELIVERY} == set()
    assert set(found.rows["action"].drop_nulls()) <= set(ACTIONS)
    assert all(column.meaning for column in COLUMNS)


def test_without_receipts_delivery_is_withheld_not_guessed() -> None:
    section = suppliers(shelfwise.analyze(products()))
    assert all(section.rows[column.name].null_count() == 3 for column in DELIVERY
               if column.name != "lead_time_planned")  # fmt: skip
    assert "how they deliver: no receipts are given" in str(section.withheld[0])
    assert section.rows["score"].null_count() == 0


@pytest.mark.parametrize(("names", "told"), [("AB", "there are only 2"), ("A", "there is only 1")])
def test_fewer_than_three_suppliers_are_not_compared(names: str, told: str) -> None:
    section = suppliers(shelfwise.analyze(products(names=names)))
    assert section.rows.is_empty()
    assert told in str(section.withheld[0])
    assert section.decisions.is_empty()


def test_products_without_supplier_say_what_is_missing() -> None:
    rows = [{k: v for k, v in row.items() if k != "supplier"} for row in products()]
    assert "no product names its supplier" in str(suppliers(shelfwise.analyze(rows)).withheld[0])
    some = products()
    some[0]["supplier"] = None
    section = suppliers(shelfwise.analyze(some))
    assert section.summary["without_supplier"] == {"products": 1, "revenue": 30.0}


def test_what_was_neither_stocked_nor_sold_does_not_score() -> None:
    rows = products()
    rows += [{"product_id": f"x{n}", "name": "Empty", "price": 10.0, "units_sold": 0, "stock": 0,
              "supplier": "D", "category": "Tea", "unit_cost": 4.0} for n in range(5)]  # fmt: skip
    idle = row(suppliers(shelfwise.analyze(rows)), "D")
    assert idle["products"] == 5
    for name in ("score_mean", "score", "score_place_low", "high_share", "low_share"):
        assert idle[name] is None


def test_a_missing_cost_leaves_the_margin_open_and_labels_the_money() -> None:
    rows = products()
    rows[0]["unit_cost"] = None
    section = suppliers(shelfwise.analyze(rows))
    assert row(section, "A")["margin"] is None
    assert row(section, "B")["margin"] == pytest.approx(sum(6.0 * (3 + n) for n in (1, 4, 7, 10)))
    assert row(section, "A")["stock_basis"] == "cost, and price"
    assert row(section, "B")["stock_basis"] == "cost"


def test_deliveries_are_counted_as_declared() -> None:
    rows = [
        receipt(),
        receipt(received="2026-01-16"),
        receipt(received="2026-01-20", received_quantity=5),
        receipt(received_quantity=14),
        receipt(received=None, received_quantity=None),  # promised, and never came
        receipt(received=None, received_quantity=None, promised="2026-09-01"),  # open
        receipt(promised=None, received="2026-01-11"),
    ]
    read = read_receipts(rows, ["1"], dt.date(2026, 8, 1))
    one = by_supplier(read, grace=0, full=1.0).row(0, named=True)
    assert (one["deliveries"], one["promises"], one["otif_hits"]) == (6, 5, 2)
    assert one["on_time"] == pytest.approx(2 / 5)
    assert one["in_full"] == pytest.approx(4 / 6)
    assert one["fill_rate"] == pytest.approx(45 / 60)
    assert one["lead_time"] == pytest.approx((9 + 11 + 15 + 9 + 6) / 5)
    assert one["lead_time_sd"] == pytest.approx(np.std([9, 11, 15, 9, 6], ddof=1))
    assert one["days_late"] == pytest.approx((1 + 5) / 2)
    kind = by_supplier(read, grace=1, full=0.5).row(0, named=True)
    assert (kind["otif_hits"], kind["in_full"]) == (3, pytest.approx(5 / 6))
    assert read.told()["overdue"] == 1
    assert read.told()["open"] == 1


def test_receipts_that_cannot_be_are_named_and_set_aside() -> None:
    wrong = {
        "the product is not known": receipt(99),
        "no product is named": receipt(product=" "),
        "no supplier is named": receipt(supplier=""),
        "received before it was ordered": receipt(received="2026-01-04"),
        "promised for a day before the order": receipt(promised="2025-12-31"),
        "ordered_quantity is not above 0": receipt(ordered_quantity=0),
        "received_quantity is negative": receipt(received_quantity=-2),
        "ordered_quantity is no number": receipt(ordered_quantity="ten"),
        "ordered_quantity is missing": receipt(ordered_quantity=None),
        "received_quantity is missing": receipt(received_quantity=None),
        "ordered is no date": receipt(ordered="soon"),
        "the day of the order is missing": receipt(ordered=None),
        "received is no date": receipt(received="2026-02-31"),
        "received after the day of the evidence": receipt(received="2026-03-01"),
        "ordered after the day of the evidence": receipt(
            ordered="2026-03-02", promised=None, received=None, received_quantity=None),
        "the day of the delivery is missing": receipt(received=None),
    }  # fmt: skip
    rows = [receipt(), *({k: str(v) if v is not None else None for k, v in row.items()}
                         for row in wrong.values())]  # fmt: skip
    rows[0] = {k: str(v) for k, v in rows[0].items()}
    read = read_receipts(rows, ["1"], dt.date(2026, 2, 28))
    assert read.rows.height == 1
    assert read.aside["reason"].to_list() == list(wrong)
    assert read.aside["row"].to_list() == list(range(1, len(wrong) + 1))
    told = read.told()
    assert told["set_aside"] == len(wrong)
    assert told["reasons"]["the product is not known"] == 1
    assert told["examples"][0]["product_id"] == "99"


def test_the_summary_names_what_was_set_aside() -> None:
    rows = [receipt(n, supplier="ABC"[n % 3]) for n in range(12)] + [receipt(77)]
    section = suppliers(shelfwise.analyze(products()), receipts=rows)
    assert section.summary["receipts"]["used"] == 12
    assert section.summary["receipts"]["reasons"] == {"the product is not known": 1}


def test_receipts_come_from_files_under_other_names(shop: Shop, tmp_path: Any) -> None:
    theirs = shop.receipts.rename({"supplier": "vendor", "ordered": "order_date",
                                   "received": "delivery_date"})  # fmt: skip
    theirs.write_csv(tmp_path / "receipts.csv")
    theirs.with_columns(pl.col(pl.Date).dt.strftime("%d.%m.%Y")).write_csv(tmp_path / "other.csv")
    ids = [str(name) for name in shop.products["product_id"]]
    want = read_receipts(shop.receipts, ids, END).rows
    for name in ("receipts.csv", "other.csv"):
        read = read_receipts(tmp_path / name, ids, END)
        assert read.rows.equals(want)
    assert read_receipts(shop.receipts.to_pandas(), ids, END).rows.equals(want)


def test_receipts_without_a_column_are_refused_by_its_name() -> None:
    rows = [{k: v for k, v in receipt().items() if k != "received_quantity"}]
    with pytest.raises(InputError, match="no column received_quantity"):
        read_receipts(rows, ["1"], END)
    with pytest.raises(InputError, match="ordered of the receipts holds 20260105"):
        read_receipts([receipt(ordered=20260105)], ["1"], END)


def test_otif_needs_promises_of_three_suppliers() -> None:
    rows = [receipt(n, supplier="AB"[n % 2]) for n in range(12)]
    section = suppliers(shelfwise.analyze(products()), receipts=rows)
    assert section.rows["otif"].null_count() == 3
    assert row(section, "A")["otif_counted"] == 1
    assert row(section, "C")["deliveries"] is None
    assert any("known of 2 suppliers" in str(told) for told in section.withheld)
    none = [{k: v for k, v in one.items() if k != "promised"} for one in rows]
    section = suppliers(shelfwise.analyze(products()), receipts=none)
    assert row(section, "A")["on_time"] is None
    assert row(section, "A")["fill_rate"] == 1


def test_a_supplier_that_only_delivers_has_a_card_without_a_range() -> None:
    rows = [receipt(n, supplier="ABCD"[n % 4]) for n in range(12)]
    section = suppliers(shelfwise.analyze(products()), receipts=rows)
    other = row(section, "D")
    assert other["products"] is None
    assert other["score"] is None
    assert other["deliveries"] == 3


def test_nothing_sold_has_no_shares() -> None:
    rows = products(units_sold=0)
    section = suppliers(shelfwise.analyze(rows))
    assert section.summary["hhi"] is None
    assert section.rows["revenue_share"].null_count() == 3


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (SuppliersPolicy(otif_target=1.2), "otif_target is 1.2. Expected float < 1.0."),
        (SuppliersPolicy(grace_days=-1), "grace_days is -1. Expected int >= 0."),
        (SuppliersPolicy(draws=5), "draws is 5. Expected int >= 100."),
    ],
)
def test_settings_out_of_bounds_are_refused(policy: SuppliersPolicy, told: str) -> None:
    with pytest.raises(InputError) as refused:
        suppliers(shelfwise.analyze(products()), policy)
    assert str(refused.value) == told


def test_normal_normal_has_the_value_of_the_formula() -> None:
    # k = 4, v = 1: sum (b - 4)² / (1 + t²) = 3 gives t² = 29/3, B = 3/32.
    mean, sd = normal_normal(np.array([0.0, 4, 8, 4]), np.ones(4))
    assert mean == pytest.approx([0.375, 4, 7.625, 4])
    spread = 29 / 32 + (3 / 32) ** 2 * (32 / 3) / 4 + 2 * (3 / 32) ** 2 * np.array([16, 0, 16, 0])
    assert sd == pytest.approx(np.sqrt(np.minimum(spread, 1)))
    # Three alike are drawn together; their means stay inside the data.
    mean, sd = normal_normal(np.array([5.0, 5.1, 4.9]), np.ones(3))
    assert mean == pytest.approx([5, 5, 5], abs=0.01)


def test_the_beta_prior_is_the_maximum_of_the_likelihood() -> None:
    rng = np.random.default_rng(1)
    tries = rng.integers(5, 200, 400).astype(float)
    hits = rng.binomial(tries.astype(int), rng.beta(9, 3, 400)).astype(float)
    shares = Shares(hits, tries)
    a, b = shares.prior
    assert a == pytest.approx(9, rel=0.25)
    assert a / (a + b) == pytest.approx(0.75, abs=0.02)
    best = float(shares.likelihood(a, b)[0])
    others = [(a * x, b * y) for x in (0.95, 1, 1.05) for y in (0.95, 1, 1.05) if (x, y) != (1, 1)]
    assert all(float(shares.likelihood(*other)[0]) < best for other in others)
    assert shares.expected == pytest.approx((hits + a) / (tries + a + b))


def test_draws_and_interval_are_of_the_same_distribution() -> None:
    shares = Shares(np.array([9.0, 40, 2, 30]), np.array([10.0, 50, 8, 31]))
    drawn = shares.draws(40_000, np.random.default_rng(3))
    low, high = shares.interval
    assert np.quantile(drawn, [0.05, 0.95], axis=0) == pytest.approx(
        np.stack([low, high]), abs=0.006
    )
    assert (drawn < 0.8).mean(axis=0) == pytest.approx(shares.below(0.8), abs=0.01)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=12))
def test_shrunk_shares_lie_between_their_own_and_the_usual_one(
    counts: list[tuple[int, int]],
) -> None:
    hits = np.array([min(one) for one in counts], dtype=float)
    tries = np.array([max(one) + 1 for one in counts], dtype=float)
    shares = Shares(hits, tries)
    usual, own = shares.prior[0] / sum(shares.prior), hits / tries
    assert (shares.expected >= np.minimum(own, usual) - 1e-9).all()
    assert (shares.expected <= np.maximum(own, usual) + 1e-9).all()
    low, high = shares.interval
    assert (low <= shares.expected).all()
    assert (high >= shares.expected).all()
    assert ((low >= 0) & (high <= 1)).all()


def test_the_variance_within_is_pooled() -> None:
    values, groups = np.array([1.0, 2, 3, 7]), np.array([0, 0, 1, 2])
    assert within_variance(values, groups, 4) == pytest.approx(0.5)
    assert np.isnan(within_variance(np.array([1.0, 2]), np.array([0, 1]), 2))


def test_places_of_what_is_not_known_are_not_known() -> None:
    draws = np.array([[3.0, np.nan, 2.0]] * 20)
    low, high = places(draws)
    assert low[[0, 2]].tolist() == [1, 2]
    assert high[[0, 2]].tolist() == [1, 2]
    assert np.isnan(low[1])


def _worlds(rng: np.random.Generator, count: int) -> tuple[Floats, Floats, Floats]:
    """True means, observed means and their variances of suppliers with few and many products."""
    sizes = np.clip(rng.geometric(0.08, count), 1, 60)
    true = rng.normal(40, 6, count)
    variance = 15.0**2 / sizes
    return true, rng.normal(true, np.sqrt(variance)), variance


def test_shrunk_means_are_nearer_to_the_truth_and_intervals_hold_it() -> None:
    rng = np.random.default_rng(20)
    plain, shrunk, held = [], [], []
    for _ in range(200):
        true, observed, variance = _worlds(rng, 40)
        mean, sd = normal_normal(observed, variance)
        plain.append(np.mean((observed - true) ** 2))
        shrunk.append(np.mean((mean - true) ** 2))
        held.append(np.mean(np.abs(mean - true) <= LEVEL * sd))
    assert np.mean(shrunk) < 0.65 * np.mean(plain)
    assert np.mean(held) == pytest.approx(0.90, abs=0.02)


def test_places_are_wide_and_hold_the_true_place() -> None:
    rng = np.random.default_rng(21)
    held, width = [], []
    for _ in range(20):
        true, observed, variance = _worlds(rng, 200)
        mean, sd = normal_normal(observed, variance)
        low, high = places(mean + sd * rng.standard_normal((1_000, 200)))
        place = np.argsort(np.argsort(-true)) + 1
        held.append(np.mean((low <= place) & (place <= high)))
        width.append(np.median(high - low))
    assert np.mean(held) == pytest.approx(0.90, abs=0.04)
    assert np.mean(width) > 80


def test_shrunk_otif_is_nearer_to_the_truth_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(22)
    plain, shrunk, held = [], [], []
    for _ in range(60):
        true = rng.beta(12, 2.5, 30)
        tries = np.clip(rng.geometric(0.05, 30), 1, 150).astype(float)
        hits = rng.binomial(tries.astype(int), true).astype(float)
        shares = Shares(hits, tries)
        low, high = shares.interval
        plain.append(np.mean((hits / tries - true) ** 2))
        shrunk.append(np.mean((shares.expected - true) ** 2))
        held.append(np.mean((low <= true) & (true <= high)))
    assert np.mean(shrunk) < 0.65 * np.mean(plain)
    assert np.mean(held) == pytest.approx(0.90, abs=0.02)
