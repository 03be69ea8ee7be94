"""Order proposals: by supplier, with minimum orders, and with a limit of cash."""

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import optimize
from stock import evidence, shop

import shelfwise
from shelfwise.errors import InputError
from shelfwise.insights import InventoryPolicy, OrdersPolicy, Section
from shelfwise.insights.inventory import inventory
from shelfwise.insights.orders import COLUMNS, orders, within


@pytest.fixture(scope="module")
def stocked() -> Section:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    return inventory(shop()[1])


def placed(section: Section) -> pl.DataFrame:
    return section.rows.filter(action="reorder")


def test_every_order_of_the_inventory_stands_with_its_supplier(stocked: Section) -> None:
    made, known = shop()
    section = orders(stocked, suppliers=made.suppliers)
    wanted = stocked.rows.filter(action="reorder")
    assert sorted(section.rows["product_id"]) == sorted(wanted["product_id"])
    given = known.products.select("product_id", "unit_cost", of="supplier")
    rows = section.rows.join(given, on="product_id")
    assert (rows["supplier"] == rows["of"]).all()
    assert rows["order_money"].to_numpy() == pytest.approx(
        (rows["order_quantity"] * rows["unit_cost"]).to_numpy()
    )
    by = rows.group_by("supplier").agg(pl.col("order_money").sum(),
                                       pl.col("supplier_money").first())  # fmt: skip
    assert by["order_money"].to_numpy() == pytest.approx(by["supplier_money"].to_numpy())
    assert section.rows["supplier"].is_sorted()
    assert sorted(section.rows["place"]) == list(range(1, section.rows.height + 1))
    assert section.rows.columns == [column.name for column in COLUMNS]


def test_an_order_below_its_minimum_is_said_to_be(stocked: Section) -> None:
    suppliers = shop()[0].suppliers
    section = orders(stocked, suppliers=suppliers)
    least = dict(suppliers.select("supplier", "min_order_value").iter_rows())
    for row in section.rows.iter_rows(named=True):
        assert row["supplier_minimum"] == least[row["supplier"]]
        assert row["minimum_met"] == (row["supplier_money"] >= least[row["supplier"]])
    below = section.rows.filter(~pl.col("minimum_met"))
    assert set(below["supplier"]) == {"Sprocketvale", "Tinkerquay"}
    assert (
        below["reason"]
        .str.contains("the order to Tinkerquay is 43.68, below its minimum of 100")
        .any()
    )
    told = {one["supplier"]: one for one in section.summary["suppliers"]}
    assert told["Tinkerquay"]["minimum_met"] is False
    assert told["Oddsock"]["minimum_met"] is True


@pytest.mark.parametrize("cash", [500.0, 5_000.0, 20_000.0])
def test_the_cash_is_kept_and_goes_to_what_is_most_at_stake(stocked: Section, cash: float) -> None:
    section = orders(stocked, OrdersPolicy(cash=cash), suppliers=shop()[0].suppliers)
    chosen = placed(section)
    assert 0.8 * cash < chosen["order_money"].sum() <= cash
    assert chosen["minimum_met"].all()
    assert section.summary["at_stake"] == pytest.approx(chosen["at_stake"].sum())
    waiting = section.rows.filter(pl.col("action").is_null())
    assert waiting["reason"].str.contains("; waits: ").all()
    assert waiting["amount"].null_count() == waiting.height
    assert chosen["at_stake"].sum() >= 0.98 * best(section.rows, cash)


def best(rows: pl.DataFrame, cash: float) -> float:
    """The most margin that any choice saves, by a mixed-integer programme."""
    cost, stake, least = (rows[n].to_numpy() for n in ("order_money", "at_stake",
                                                       "supplier_minimum"))  # fmt: skip
    of = rows["supplier"].rank("dense").cast(pl.Int64).to_numpy() - 1
    orders, suppliers = len(cost), of.max() + 1
    # x for each order, then y for each supplier: 1 where anything is ordered there.
    spent = np.r_[cost, np.zeros(suppliers)]
    minimum = np.zeros((suppliers, orders + suppliers))
    minimum[of, np.arange(orders)] = cost
    minimum[of, orders + of] = -least
    only = np.eye(orders, orders + suppliers)
    only[np.arange(orders), orders + of] = -1
    found = optimize.milp(
        -np.r_[stake, np.zeros(suppliers)],
        integrality=np.ones(orders + suppliers),
        bounds=optimize.Bounds(0, 1),
        constraints=[
            optimize.LinearConstraint(spent, ub=cash),
            optimize.LinearConstraint(minimum, lb=0),
            optimize.LinearConstraint(only, ub=0),
        ],
    )
    assert found.status == 0
    return float(-found.fun)


def test_enough_cash_orders_all_that_has_margin_at_stake(stocked: Section) -> None:
    section = orders(stocked, OrdersPolicy(cash=1e9))
    assert placed(section).height == section.rows.filter(pl.col("at_stake") > 0).height


def test_the_choice_is_near_the_best_of_all_choices() -> None:
    rng = np.random.default_rng(3)
    none = np.full(10, math.nan)
    shares = []
    for _ in range(200):
        cost, stake = rng.lognormal(3, 1, 10), rng.lognormal(2, 1.5, 10)
        cash = float(cost.sum() * rng.uniform(0.1, 0.8))
        chosen, below = within(cash, cost, stake, np.arange(10), none)
        every = np.array(list(product([False, True], repeat=10)))
        best = (every @ stake)[every @ cost <= cash].max()
        assert cost[chosen].sum() <= cash + 1e-6
        assert not below.any()
        shares.append(stake[chosen].sum() / best if best else 1.0)
        # With all that fits or the one largest, greedy never falls below half.
        assert stake[chosen].sum() >= 0.5 * best or stake.max() >= 0.5 * best
    assert np.mean(shares) > 0.96


def test_no_supplier_gets_less_than_its_minimum() -> None:
    rng = np.random.default_rng(4)
    for _ in range(100):
        cost, stake = rng.lognormal(3, 1, 60), rng.lognormal(2, 1.5, 60)
        supplier = rng.integers(0, 8, 60)
        least = rng.uniform(0, 150, 8)
        chosen, below = within(400.0, cost, stake, supplier, least[supplier])
        sums = np.bincount(supplier, np.where(chosen, cost, 0), 8)
        assert sums.sum() <= 400 + 1e-6
        assert ((sums == 0) | (sums >= least)).all()
        assert not (chosen & below).any()


def test_what_it_costs_or_earns_decides_nothing_where_it_is_not_known() -> None:
    known = evidence([10.0] * 52, stock=3, unit_cost=None, supplier="Lumo")
    section = orders(known)
    row = section.rows.row(0, named=True)
    assert (row["action"], row["order_money"], row["minimum_met"]) == ("reorder", None, None)
    assert any("unit_cost" in one.needs for one in section.withheld)
    limited = orders(known, OrdersPolicy(cash=1e6, min_order_value=10))
    row = limited.rows.row(0, named=True)
    assert row["action"] is None
    assert row["reason"].endswith("waits: what it costs is not known")


def test_what_is_sold_below_its_cost_gets_no_cash() -> None:
    known = evidence([10.0] * 52, stock=3, unit_cost=25.0)
    row = orders(known, OrdersPolicy(cash=1e6)).rows.row(0, named=True)
    assert row["action"] is None
    assert "each unit loses 5.0" in row["reason"]
    assert row["reason"].endswith("waits: no margin is at stake")


def test_a_minimum_of_the_policy_stands_in_for_suppliers_that_tell_none() -> None:
    known = evidence([10.0] * 52, stock=3, supplier="Lumo")
    one = orders(known, OrdersPolicy(min_order_value=1e6)).rows.row(0, named=True)
    assert (one["minimum_met"], one["supplier_minimum"]) == (False, 1e6)
    told = pl.DataFrame({"supplier": ["Lumo"], "min_order_value": [1]})
    two = orders(known, OrdersPolicy(min_order_value=1e6), suppliers=told).rows
    assert two["minimum_met"].item() is True
    nobody = orders(evidence([10.0] * 52, stock=3), OrdersPolicy(min_order_value=1.0))
    assert nobody.rows["minimum_met"].item() is None


def test_orders_take_what_inventory_takes_and_its_policy() -> None:
    known = evidence([10.0] * 52, stock=3)
    short, long = (
        orders(known, OrdersPolicy(inventory=InventoryPolicy(review_days=days)))
        .rows["amount"]
        .item()
        for days in (1, 60)
    )
    assert long > short


def test_a_snapshot_proposes_products_but_no_quantities() -> None:
    rows: list[dict[str, Any]] = [
        {"product_id": 1, "name": "Lamp", "price": 20.0, "units_sold": 150, "stock": 30},
        {"product_id": 2, "name": "Mug", "price": 5.0, "units_sold": 4, "stock": 90},
    ]
    section = orders(shelfwise.analyze(rows))
    assert section.rows["name"].to_list() == ["Lamp"]
    assert section.rows["amount"].item() is None
    assert any("order lines with dates" in one.needs for one in section.withheld)


def test_nothing_to_order_is_an_empty_proposal() -> None:
    section = orders(evidence([10.0] * 52, stock=80), OrdersPolicy(cash=5.0))
    assert section.rows.height == 0
    assert section.summary["orders"] == section.summary["money"] == 0


def test_wrong_settings_and_suppliers_are_refused() -> None:
    known = evidence([10.0] * 52, stock=3, supplier="Lumo")
    with pytest.raises(InputError, match="cash"):
        orders(known, OrdersPolicy(cash=-5.0))
    with pytest.raises(InputError, match="no column min_order_value"):
        orders(known, suppliers=pl.DataFrame({"supplier": ["Lumo"]}))
    twice = pl.DataFrame({"supplier": ["Lumo", "Lumo"], "min_order_value": [1, 2]})
    with pytest.raises(InputError, match="Supplier 'Lumo' stands there twice"):
        orders(known, suppliers=twice)
    for value in ("a lot", -3):
        with pytest.raises(InputError, match="The min_order_value of 'Lumo' is"):
            orders(known, suppliers=[{"supplier": "Lumo", "min_order_value": value}])


def test_suppliers_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "suppliers.csv"
    path.write_text("vendor,min_order_value\nLumo,1e6\nGlimm,\n", encoding="utf-8")
    known = evidence([10.0] * 52, stock=3, supplier="Lumo")
    row = orders(known, suppliers=path).rows.row(0, named=True)
    assert (row["supplier_minimum"], row["minimum_met"]) == (1e6, False)
