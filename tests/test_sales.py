"""Order lines to products: against a judge in plain Python, and against real shops."""

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shelfwise
from kinds import Engine
from shelfwise import Rules, from_sales
from shelfwise.errors import InputError, NotFoundError, RejectedRowsError, UnreadableError

Data = Callable[[str], Path]
UCI = "uci_online_retail_slice/online_retail_2010-12_2011-02.csv.gz"


def line(product: Any, quantity: float, price: float = 10.0, **more: Any) -> dict[str, Any]:
    return {"product_id": product, "date": "2026-03-05", "quantity": quantity,
            "unit_price": price} | more  # fmt: skip


def some_lines(n: int = 400, seed: int = 3) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "order_id": rng.choice(["5", "5", "5", "C7", "A8"]),
            "product_id": rng.choice(["a", "x", "X", "post", "gift_1", "z"]),
            "name": rng.choice(["Lamp", "Lamp", "damaged"]),
            "date": f"2026-0{rng.randint(1, 3)}-{rng.randint(10, 28)}",
            "quantity": float(rng.choice([1, 2, 5, 7.5, -1, -3])),
            "unit_price": rng.choice([0.0, 2.5, 9.99]),
            "discount": rng.choice([0.0, 0.1, None]),
            "status": rng.choice(["paid", None, "Cancelled "]),
        }
        for _ in range(n)
    ]


def judged(lines: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Product -> net units and net revenue, by the default rules, in plain Python."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in lines:
        if (row["status"] or "").strip().lower() == "cancelled" or row["order_id"][0] == "A":
            continue
        if row["product_id"].upper() == "POST" or row["product_id"].startswith("gift_"):
            continue
        revenue = row["quantity"] * row["unit_price"] * (1 - (row["discount"] or 0))
        sums[row["product_id"]][0] += row["quantity"]
        sums[row["product_id"]][1] += revenue
    return {product: (units, money) for product, (units, money) in sums.items()}


def test_every_engine_counts_as_the_judge_does(frame: Engine) -> None:
    lines = some_lines()
    sold = from_sales(frame(lines))
    expected = judged(lines)
    found = {row["product_id"]: row for row in sold.products.iter_rows(named=True)}
    aside = set(sold.set_aside["product_id"])
    assert set(found) | aside == set(expected)
    for product, (units, revenue) in expected.items():
        assert (product in aside) is (units <= 0 or revenue <= 0)
        if product in found:
            row = found[product]
            assert row["units_sold"] == pytest.approx(units, abs=1e-9)
            assert row["net_revenue"] == pytest.approx(revenue, abs=1e-9)
            assert row["price"] == pytest.approx(revenue / units, abs=1e-9)
            assert row["name"] == "Lamp"
    quality = sold.quality
    assert quality.lines == 400
    assert quality.counted + quality.left_out == 400
    cancelled = [row for row in lines if (row["status"] or "").strip() == "Cancelled"]
    assert quality["cancelled"].lines == len(cancelled)
    assert quality["cancelled"].units == sum(row["quantity"] for row in cancelled)
    assert len(quality["cancelled"].examples) == 3
    assert all(e["status"].strip() == "Cancelled" for e in quality["cancelled"].examples)
    assert {row["product_id"] for row in quality["case_variants"].examples} == {"x", "X"}


@settings(max_examples=40)
@given(
    lines=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-9, 9), st.integers(0, 900)),
        min_size=1,
        max_size=40,
    )
)
def test_without_rules_nothing_is_lost(lines: list[tuple[str, int, int]]) -> None:
    rows = [line(product, float(n), cents / 100) for product, n, cents in lines]
    quality = from_sales(rows, rules=Rules.none()).quality
    assert quality.counted == len(rows)
    assert quality.net_units == sum(row["quantity"] for row in rows)
    assert quality.net_revenue == pytest.approx(
        sum(row["quantity"] * row["unit_price"] for row in rows), abs=1e-9
    )


def test_a_line_is_left_out_for_one_reason_only() -> None:
    lines = [line("POST", -2, status="cancelled", order_id="A1"), line("a", 1, order_id="2")]
    quality = from_sales(lines).quality
    assert [(f.name, f.lines) for f in quality.findings] == [("cancelled", 1)]
    assert quality.left_out == 1


@pytest.mark.parametrize(
    ("lines", "setting"),
    [
        ([line("a", 1, order_id=f"A{n}") for n in range(9)], "adjustments"),
        ([line("m", 1), line("s", 2), line("x", 3)], "not_products"),
    ],
)
def test_a_default_that_takes_much_is_asked_about(
    lines: list[dict[str, Any]], setting: str
) -> None:
    with pytest.raises(InputError, match=f"set the rule {setting}"):
        from_sales(lines)
    rules = Rules(adjustments="", not_products=("POST",))
    assert from_sales(lines, rules=rules).quality.left_out == 0


def test_ids_are_judged_once_a_product() -> None:
    lines = [line("a", 1), line(" a ", 2), line("  ", 4), line("x" * 300, 8), line("b\x07", 1)]
    sold = from_sales(lines, max_rejected=0.9)
    assert dict(sold.products.select("product_id", "units_sold").rows()) == {"a": 3.0}
    assert sold.quality.unreadable == 3
    assert {e["reason"] for e in sold.quality["unreadable"].examples} == {
        "product_id is empty",
        "product_id has 300 characters; at most 255 are allowed",
        "product_id has the control character U+0007",
    }


def test_credit_notes_are_netted_or_left_out() -> None:
    lines = [line("a", 5, order_id="1"), line("a", -2, order_id="C2")]
    netted = from_sales(lines)
    assert netted.products["units_sold"].to_list() == [3.0]
    assert netted.quality["credit_note"].action == "counted"
    left = from_sales(lines, rules=Rules(net_credit_notes=False))
    assert left.products["units_sold"].to_list() == [5.0]
    assert left.quality["credit_note_left_out"].revenue == -20.0


@pytest.mark.parametrize("pattern", ["^[Aa]?[0-9]+$", "^[A]x|^1", "^[Aa]*1", "^[A]{0,1}1"])
def test_a_pattern_may_let_its_first_letter_out(pattern: str) -> None:
    lines = [line("a", 1, order_id="1"), *(line("a", 2, order_id="z") for _ in range(9))]
    sold = from_sales(lines, rules=Rules(adjustments=pattern))
    assert sold.quality["adjustment"].lines == 1


def test_a_total_wins_over_the_price_and_disagreement_is_told() -> None:
    lines = [line("a", 2, 10.0, line_total=15.0), line("a", 1, 10.0, line_total=None)]
    sold = from_sales(lines)
    assert sold.products["net_revenue"].to_list() == [25.0]
    assert sold.quality["total_disagrees"].lines == 1
    assert from_sales([line("a", 2, line_total=20.0)]).quality.findings == ()


def test_the_unit_cost_is_that_of_what_was_sold(frame: Engine) -> None:
    lines = [line("a", 3, cost=2.0), line("a", -2, cost=9.0), line("a", 1, cost=6.0),
             line("a", 4, cost=None)]  # fmt: skip
    products = from_sales(frame(lines)).products
    assert products["unit_cost"].to_list() == [3.0]  # (3 x 2 + 1 x 6) / 4
    assert products["units_sold"].to_list() == [6.0]


def test_the_catalogue_names_prices_and_adds_what_was_never_sold() -> None:
    catalog = [
        {"sku": 7, "name": "Lamp", "price": 30.0, "category": "Light"},
        {"sku": 8, "name": "Mug", "price": 5.0, "category": "Kitchen"},
    ]
    stock = [{"product_id": "7", "stock": 3}, {"product_id": 7, "stock": 4.0}]
    sold = from_sales([line(7, 2, 20.0), line(9, 1)], catalog=catalog, stock=stock)
    rows = {row["product_id"]: row for row in sold.products.iter_rows(named=True)}
    assert (rows["7"]["price"], rows["7"]["name"], rows["7"]["stock"]) == (20.0, "Lamp", 7.0)
    assert (rows["8"]["price"], rows["8"]["units_sold"], rows["8"]["stock"]) == (5.0, 0.0, None)
    assert rows["9"]["name"] == "9"
    assert sold.quality["not_in_catalogue"].examples == ({"product_id": "9", "net_revenue": 10.0},)


def test_lines_outside_the_period_are_left_out() -> None:
    lines = [line("a", 1, date=f"2026-03-{day:02}") for day in (1, 10, 20, 31)]
    sold = from_sales(lines, period=("2026-03-05", dt.date(2026, 3, 20)))
    assert sold.products["units_sold"].to_list() == [2.0]
    assert sold.quality["outside_the_period"].lines == 2
    assert sold.period == (dt.date(2026, 3, 5), dt.date(2026, 3, 20))
    assert from_sales(lines).period == (dt.date(2026, 3, 1), dt.date(2026, 3, 31))
    early = from_sales(lines, period=(None, "2026-03-10"))
    assert early.period == (dt.date(2026, 3, 1), dt.date(2026, 3, 10))
    assert early.quality["outside_the_period"].meaning == "Sold after 2026-03-10."
    analysis = shelfwise.analyze(sold)
    assert analysis.products["units_per_day"].to_list() == [2 / 16]


DATES = {
    "2026-03-05": "2026-03-05",
    "2026-03-05T08:26:00": "2026-03-05",
    "2026-03-05 23:59": "2026-03-05",
}


@pytest.mark.parametrize("text", DATES)
def test_a_time_of_day_is_cut_off(frame: Engine, text: str) -> None:
    assert from_sales(frame([line("a", 1, date=text)])).quality.first == DATES[text]


@pytest.mark.parametrize(
    ("texts", "first", "last"),
    [
        (["31.01.2026", "01.02.2026"], "2026-01-31", "2026-02-01"),
        (["1/31/2026 8:00", "2/1/2026 9:15"], "2026-01-31", "2026-02-01"),
        (["13-1-2026", "2026-02-01"], "2026-01-13", "2026-02-01"),
    ],
)
def test_the_dates_prove_their_order(
    frame: Engine, texts: list[str], first: str, last: str
) -> None:
    quality = from_sales(frame([line("a", 1, date=text) for text in texts])).quality
    assert (quality.first, quality.last) == (first, last)


def test_dates_that_prove_nothing_must_be_declared(frame: Engine) -> None:
    lines = frame([line("a", 1, date="03/04/2026")])
    with pytest.raises(InputError, match="Nobody can tell day and month apart"):
        from_sales(lines)
    assert from_sales(lines, dates="day-first").quality.first == "2026-04-03"
    assert from_sales(lines, dates="month-first").quality.first == "2026-03-04"


def test_dates_that_contradict_are_refused() -> None:
    both = [line("a", 1, date="31.01.2026"), line("a", 1, date="01.31.2026")]
    with pytest.raises(InputError, match="day first and dates with the month first"):
        from_sales(both)
    with pytest.raises(InputError, match="is declared month-first, but its dates are day-first"):
        from_sales(both[:1], dates="month-first")


def test_typed_dates_need_no_proof() -> None:
    when = dt.datetime(2026, 3, 4, 15, 0)
    lines = pl.DataFrame([line("a", 1, date=when)])
    assert from_sales(lines).quality.first == "2026-03-04"


def test_a_few_bad_lines_are_told_and_many_refused(frame: Engine) -> None:
    lines = [line("a", 1.0) for _ in range(99)] + [line("a", 1.0, date="31.02.2026")]
    sold = from_sales(frame(lines))
    assert (sold.quality.unreadable, sold.quality.counted) == (1, 99)
    with pytest.raises(RejectedRowsError, match=r"1 of 100 lines cannot be read: 1.00%"):
        from_sales(frame(lines), max_rejected=0.001)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"product_id": None}, "product_id"),
        ({"quantity": None}, "quantity"),
        ({"unit_price": None}, "unit_price"),
        ({"quantity": 1e16}, "quantity"),
        ({"discount": 1.5}, "discount"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(changed: dict[str, Any], told: str) -> None:
    lines = [line("a", 1.0, discount=0.0) | changed, line("c", 1.0, discount=0.0)]
    with pytest.raises(RejectedRowsError) as caught:
        from_sales(lines)
    assert caught.value.problems[0].pointer == f"/0/{told}"
    assert from_sales(lines, max_rejected=0.5).quality.unreadable == 1


def test_a_line_with_neither_price_nor_total_is_unreadable() -> None:
    lines = [line("a", 1.0, line_total=None), line("c", 1.0, None, line_total=None)]
    sold = from_sales(lines, max_rejected=0.5)
    assert sold.quality.unreadable == 1
    assert sold.products["product_id"].to_list() == ["a"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "There are no rows"),
        ([{"product_id": 1, "date": "2026-01-01", "quantity": 1}], "unit_price .or line_total."),
        ([{"quantity": 1, "unit_price": 1}], "Missing column: product_id, date"),
        ([line("a", 1.0, status="void")], "No line counts"),
    ],
)
def test_unusable_lines_are_refused(lines: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_sales(lines)


@pytest.mark.parametrize(
    ("period", "told"),
    [(("2026-02-30", None), "cannot be read"), (("2026-03-02", "2026-03-01"), "before it begins"),
     ("2026", "cannot be read")],
)  # fmt: skip
def test_periods_that_are_none_are_refused(period: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        from_sales([line("a", 1)], period=period)


def test_currencies_are_not_mixed() -> None:
    with pytest.raises(InputError, match="mix currencies"):
        from_sales([line("a", 1, currency="EUR"), line("c", 1, currency="USD")])


def test_rules_are_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('not_products = ["Fee"]\nadjustments = ""\nnet_credit_notes = false\n')
    rules = Rules.load(file)
    assert rules == Rules(not_products=("Fee",), adjustments="", net_credit_notes=False)
    file.write_text("not_products = 3\n")
    with pytest.raises(InputError, match="It is a list of texts"):
        Rules.load(file)
    file.write_text("unknown = 3\n")
    with pytest.raises(InputError, match="is no rule"):
        Rules.load(file)
    with pytest.raises(NotFoundError):
        Rules.load(tmp_path / "none.toml")
    with pytest.raises(InputError, match="regular expression"):
        Rules(credit_notes="(")


def test_a_folder_and_a_pattern_are_read_whole(tmp_path: Path) -> None:
    for kind in ("csv", "parquet", "ndjson"):
        folder = tmp_path / kind
        folder.mkdir()
        for month in (1, 2):
            made = pl.DataFrame([line("a", month, date=f"2026-0{month}-15")])
            getattr(made, f"write_{kind}")(folder / f"{month}.{kind}")
        for place in (folder, folder / f"*.{kind}"):
            sold = from_sales(place)
            assert sold.products["units_sold"].to_list() == [3.0], place
    with pytest.raises(NotFoundError, match="No file fits"):
        from_sales(tmp_path / "x*.csv")
    (tmp_path / "csv" / "3.csv").write_text("product_id,date\n1,2026-01-01\n")
    with pytest.raises(UnreadableError, match="other columns than"):
        from_sales(tmp_path / "csv")


def test_uci_adds_up_to_its_known_totals(test_data: Data) -> None:
    path = test_data(UCI)
    all_of_it = from_sales(path, rules=Rules.none())
    assert all_of_it.quality.lines == 105_335
    assert all_of_it.products.height + all_of_it.set_aside.height == 3_159
    assert all_of_it.quality.net_revenue == pytest.approx(1_807_019.93, abs=0.005)
    assert all_of_it.quality["returned"].lines == 2_118
    sold_only = Rules(adjustments="", not_products=(), not_product_pattern="",
                      net_credit_notes=False)  # fmt: skip
    assert from_sales(path, rules=sold_only).quality.net_revenue == pytest.approx(
        2_038_742.59, abs=0.005
    )


def test_uci_says_what_is_wrong_with_it(test_data: Data) -> None:
    sold = from_sales(test_data(UCI))
    found = {finding.name for finding in sold.quality.findings}
    assert found >= {"returned", "credit_note", "not_a_product", "zero_price", "case_variants",
                     "names_differ", "nothing_left"}  # fmt: skip
    codes = {e["product_id"] for e in sold.quality["not_a_product"].examples}
    assert codes <= {"POST", "DOT", "M"}
    analysis = shelfwise.analyze(sold)
    assert "no_stock" in {warning.code for warning in analysis.warnings}
    classes = dict(analysis.abc()["abc_class"].value_counts().rows())
    assert classes["N"] == sold.set_aside.height == analysis.summary["skipped"]
    assert analysis.to_dict()["quality"]["lines"] == 105_335


def test_northwind_adds_up_from_its_lines(test_data: Data) -> None:
    orders = pl.read_csv(test_data("northwind/orders.csv")).select("order_id", date="order_date")
    lines = pl.read_csv(test_data("northwind/order_details.csv")).join(orders, on="order_id")
    products = pl.read_csv(test_data("northwind/products.csv"))
    catalog = products.select("product_id", "product_name", "unit_price")
    stock = products.select("product_id", "units_in_stock")
    sold = from_sales(lines, catalog=catalog, stock=stock)
    assert sold.quality.net_revenue == pytest.approx(1_265_793.04, abs=0.05)
    assert sold.period == (dt.date(1996, 7, 4), dt.date(1998, 5, 6))
    analysis = shelfwise.analyze(sold)
    assert analysis.summary["products"] == 77
    best = analysis.products.filter(pl.col("product_id") == "38").row(0, named=True)
    assert best["units_sold"] == 623
    assert best["revenue"] == pytest.approx(141_396.74, abs=0.01)
    assert sum(row["stock"] == 0 for row in analysis.products.iter_rows(named=True)) == 5


def test_adventureworks_month_first_dates_and_unsold_products(
    test_data: Data, tmp_path: Path
) -> None:
    catalog = pl.read_csv(test_data("adventureworks/AdventureWorks_Products.csv")).select(
        product_id="ProductKey", name="ProductName", price="ProductPrice", unit_cost="ProductCost"
    )
    prices = catalog.select(ProductKey="product_id", UnitPrice="price")
    for year in (2017, 2018, 2019):
        read = pl.read_csv(test_data(f"adventureworks/AdventureWorks_Sales_{year}.csv"))
        read.join(prices, on="ProductKey").write_csv(tmp_path / f"{year}.csv")
    sold = from_sales(tmp_path, catalog=catalog)
    assert sold.quality.lines == 56_046
    assert sold.period == (dt.date(2017, 1, 1), dt.date(2019, 6, 30))
    assert sold.quality.net_revenue == pytest.approx(24_914_586.82, abs=0.5)
    assert sold.products.height == 293
    assert sold.products.filter(pl.col("units_sold") == 0).height == 163
    cost = (sold.products["unit_cost"] * sold.products["units_sold"]).sum()
    assert cost == pytest.approx(14_456_871.39, abs=0.5)


def places() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    lines = [
        line("a", 3, location="Bern"), line("a", -1, location="Bern"),
        line("a", 5, location="Rome"), line("A2", 2, location="Rome"),
        line("bulb", -4, location="Rome"), line("c", 9, 2.0, location=None),
    ]  # fmt: skip
    catalog = [
        {"product_id": "a", "name": "Lamp", "parent_id": "L", "category": "Light", "brand": "X"},
        {"product_id": "A2", "name": "Lamp", "parent_id": "L", "category": "Light", "brand": "X"},
        {"product_id": "bulb", "name": "Bulb", "category": "Light", "brand": "Y"},
        {"product_id": "c", "name": "Mug", "parent_id": None, "category": None, "brand": "X"},
        {"product_id": "d", "name": "Cup", "parent_id": None, "category": "Cups", "brand": "X"},
    ]
    return lines, [row | {"price": 4.0, "unit_cost": 1.0} for row in catalog]


def test_products_are_added_up_net_of_returns(frame: Engine) -> None:
    lines, catalog = places()
    sums = {}
    for by in ("parent_id", "category", "brand"):
        sold = from_sales(frame(lines), catalog=catalog, by=by)
        sums[by] = {
            row["product_id"]: (row["name"], row["units_sold"], row["products"])
            for row in sold.products.iter_rows(named=True)
        }
        assert sold.quality.net_units == 14
    assert sums["parent_id"] == {
        "L": ("Lamp", 9.0, 2), "c": ("Mug", 9.0, 1), "d": ("Cup", 0.0, 1)
    }  # fmt: skip
    assert sums["category"] == {
        "Light": ("Light", 5.0, 3), "(none)": ("(none)", 9.0, 1), "Cups": ("Cups", 0.0, 1)
    }  # fmt: skip
    # What came back of the bulb outweighs what Y sold: it is set aside, not scored.
    assert sums["brand"] == {"X": ("X", 18.0, 4)}
    assert sold.set_aside.rows() == [("Y", -4.0, -40.0, "-4.0 of units left after returns")]
    variants = from_sales(frame(lines), catalog=catalog, by="parent_id").products
    first = variants.filter(pl.col("product_id") == "L").row(0, named=True)
    assert (first["brand"], first["category"], first["price"]) == ("X", "Light", 10.0)
    assert first["unit_cost"] == 1.0


def test_a_product_is_scored_in_each_location(frame: Engine) -> None:
    lines, catalog = places()
    stock = [{"product_id": p, "location": at, "stock": n} for p, at, n in
             [("a", "Bern", 7), ("a", "Rome", 8), ("A2", "Rome", 9)]]  # fmt: skip
    sold = from_sales(frame(lines[:-1]), stock=stock, by="location")
    rows = sold.products.select("product_id", "location", "units_sold", "stock").rows()
    assert rows == [("A2", "Rome", 2.0, 9.0), ("a", "Bern", 2.0, 7.0), ("a", "Rome", 5.0, 8.0)]
    assert sold.set_aside.select("product_id", "location").rows() == [("bulb", "Rome")]
    analysis = shelfwise.analyze(sold, group_by="location")
    assert analysis.explain("a", "Rome").score > analysis.explain("a", "Bern").score
    del catalog


@pytest.mark.parametrize(
    ("by", "told"),
    [("colour", "by is 'colour'"), ("location", "no location"), ("supplier", "Nothing says")],
)
def test_what_cannot_be_added_up_is_refused(by: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        from_sales([line("a", 1)], by=by)


def test_duplicates_are_told_and_count_when_asked(frame: Engine) -> None:
    lines = [line("a", 2), line("a", 2), line("a", 2), line("c", 1), line("e", 3), line("e", 3)]
    sold = from_sales(frame(lines), find_duplicates=True)
    found = sold.quality["duplicate"]
    assert (found.lines, found.products) == (3, 2)
    assert (found.units, found.revenue) == (7, 70)
    assert found.examples[0]["times"] == 3
    assert sold.products["units_sold"].to_list() == [6.0, 1.0, 6.0]
    assert "duplicate" not in {f.name for f in from_sales(frame(lines)).quality.findings}
    assert "duplicate" not in {
        f.name for f in from_sales(frame(lines[3:5]), find_duplicates=True).quality.findings
    }


def test_the_last_price_is_kept_beside(frame: Engine) -> None:
    lines = [
        line("a", 2, 9.0, date="2026-01-05"), line("a", 1, 7.0, date="2026-02-05"),
        line("a", 2, 8.0, date="2026-02-05"), line("a", -1, 3.0, date="2026-02-09"),
        line("c", 4, 2.0, date="2026-01-07", discount=0.5), line("post", 1, date="2026-01-07"),
    ]  # fmt: skip
    products = from_sales(frame(lines), last_price=True).products
    assert dict(products.select("product_id", "last_price").rows()) == {"a": 8.0, "c": 1.0}
    assert "last_price" not in from_sales(frame(lines)).products.columns


def test_what_floats_leave_of_full_returns_is_nothing(frame: Engine) -> None:
    lines = [
        {"product_id": p, "date": "2026-01-05", "quantity": q, "line_total": total}
        for p, q, total in [("a", 1, 0.1), ("a", 1, 0.2), ("a", -1, -0.3), ("c", 2, 5.0),
                            ("e", 0.1, 1.0), ("e", 0.2, 1.0), ("e", -0.3, -1.0)]
    ]  # fmt: skip
    sold = from_sales(frame(lines))
    assert sold.products["product_id"].to_list() == ["c"]
    assert sorted(sold.set_aside["product_id"]) == ["a", "e"]


def test_a_catalogue_as_text_is_read(tmp_path: Path) -> None:
    text = "sku,name,price,units_sold,stock\na,Lamp,4.50,9,\nc,Mug,3,1,4\n"
    (tmp_path / "c.csv").write_text(text)
    sold = from_sales([line("a", 2)], catalog=tmp_path / "c.csv")
    rows = sold.products.select("product_id", "name", "price", "units_sold", "stock").rows()
    assert rows == [("a", "Lamp", 10.0, 2.0, None), ("c", "Mug", 3.0, 0.0, 4.0)]


def test_a_stock_that_is_not_known_is_not_zero(frame: Engine) -> None:
    held = [("a", None), ("a", 3.0), ("c", 4.0), ("c", 2.0)]
    stock = frame([{"product_id": product, "stock": units} for product, units in held])
    products = from_sales([line("a", 2), line("c", 1)], stock=stock).products
    assert products["stock"].to_list() == [None, 6.0]


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"catalog": [{"name": "Lamp", "price": 3.0}]}, "catalogue has no column product_id"),
        ({"catalog": [{"product_id": 1.5, "name": "Lamp"}]}, "integers or text"),
        ({"catalog": [{"product_id": None, "name": "x"}, {"product_id": "a"}]}, "has product_id"),
        ({"catalog": [{"product_id": "a", "price": "4,50"}]}, "catalogue has price '4,50'"),
        ({"stock": [{"product_id": "a", "price": 3}]}, "no column stock"),
        ({"stock": [{"product_id": "a", "stock": "n/a"}]}, "stock has stock 'n/a'"),
    ],
)
def test_a_wrong_catalogue_or_stock_is_refused(tables: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        from_sales([line("a", 2)], **tables)


def test_a_parent_that_a_frame_holds_as_float_is_one(frame: Engine) -> None:
    catalog = pl.DataFrame({"product_id": ["a", "c", "e"], "parent_id": [101.0, 101.0, None]})
    sold = from_sales(frame([line("a", 1), line("c", 2), line("e", 4)]), catalog=catalog,
                      by="parent_id")  # fmt: skip
    assert dict(sold.products.select("product_id", "units_sold").rows()) == {"101": 3.0, "e": 4.0}


def test_currencies_that_count_are_not_mixed(frame: Engine) -> None:
    lines = [line(p, 1, currency=c) for p, c in zip("acef", ["", "EUR", "USD", None], strict=True)]
    with pytest.raises(InputError, match="currenc"):
        from_sales(frame(lines))
    old = [line("a", 1, currency="DEM", date="2001-03-05"), line("a", 1, currency="EUR")]
    sold = from_sales(frame(old), period=("2026-01-01", None))
    assert sold.products["currency"].to_list() == ["EUR"]


def test_lines_of_two_orders_are_no_duplicates(frame: Engine) -> None:
    lines = [line("a", 2, order_id="1"), line("a", 2, order_id="2")]
    sold = from_sales(frame(lines), find_duplicates=True)
    assert "duplicate" not in {finding.name for finding in sold.quality.findings}


def test_dates_that_are_numbers_are_refused(frame: Engine) -> None:
    with pytest.raises(InputError, match="must be dates"):
        from_sales(frame([line("a", 1) | {"date": 20260105}]))


def test_the_day_is_that_of_the_clock_on_the_spot() -> None:
    berlin = dt.timezone(dt.timedelta(hours=1))
    when = [dt.datetime(2026, 1, 1, 0, 30, tzinfo=berlin)]
    lines = pl.DataFrame([line("a", 1)]).with_columns(
        date=pl.Series(when).dt.convert_time_zone("Europe/Berlin")
    )
    assert from_sales(lines).period[0] == dt.date(2026, 1, 1)


def test_a_century_of_lines_names_its_days() -> None:
    with pytest.raises(InputError, match="from 1900-01-01 to 2026-03-05"):
        from_sales([line("a", 1), line("a", 1, date="1900-01-01")])


def test_texts_that_are_numbers_and_padded_ids_are_read(frame: Engine) -> None:
    lines = [line("a ", 1, name="Lamp"), line("a ", 1, name="Lamp"), line("a ", 1, name="Zamp")]
    assert from_sales(frame(lines)).products["name"].to_list() == ["Lamp"]
    coded = frame([line("a", 1, name=5, location=3), line("a", 1, name=5, location=4)])
    stock = [{"product_id": "a", "location": "3", "stock": 7},
             {"product_id": "a", "location": "4", "stock": 8}]  # fmt: skip
    products = from_sales(coded, stock=stock, by="location").products
    assert products.select("name", "location", "stock").rows() == [("5", "3", 7.0), ("5", "4", 8.0)]


def test_a_rule_of_one_text_is_refused() -> None:
    with pytest.raises(InputError, match="not_products is one text"):
        Rules(not_products="POST")  # type: ignore[arg-type]
