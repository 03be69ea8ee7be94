"""The contract: whose column is whose, and what every column promises."""

import pytest

import shelfwise
from kinds import Engine
from shelfwise import analyze
from shelfwise.columns import COLUMN, COLUMNS, REQUIRED, contract, plain, resolve
from shelfwise.errors import InputError

ROW = {"product_id": 1, "name": "Lamp", "price": 2.0, "units_sold": 3.0, "stock": 4.0}


def test_required_columns_are_the_five_of_the_method() -> None:
    assert REQUIRED == ("product_id", "name", "price", "units_sold", "stock")


def test_every_column_says_what_it_means_and_unlocks() -> None:
    for column in COLUMNS:
        assert column.meaning.endswith(".")
        assert column.unlocks
        assert column.name == plain(column.name)
        assert (column.kind == "number") == bool(column.unit)


def test_no_alias_belongs_to_two_columns() -> None:
    every = [name for column in COLUMNS for name in (column.name, *column.aliases)]
    assert len(set(every)) == len(every)
    assert all(alias == plain(alias) for alias in every)


@pytest.mark.parametrize(
    ("alias", "column"), [(a, column.name) for column in COLUMNS for a in column.aliases]
)
def test_an_alias_is_found(alias: str, column: str) -> None:
    assert resolve([alias]) == ({alias: column}, {alias: column})


@pytest.mark.parametrize("spelled", ["Units Sold", " units_sold ", "UNITS-SOLD", "units.sold"])
def test_case_blanks_and_punctuation_do_not_matter(spelled: str) -> None:
    assert resolve([spelled])[0] == {spelled: "units_sold"}


def test_the_exact_name_wins_over_an_alias() -> None:
    assert resolve(["price", "unit_price", "sku", "product_id"])[0] == {}


def test_a_name_wins_over_an_alias() -> None:
    assert resolve(["Price", "unit_price"])[0] == {"Price": "price"}


def test_an_explicit_mapping_wins_over_everything() -> None:
    renaming, found = resolve(["price", "net", "Product ID"], {"net": "price"})
    assert renaming == {"net": "price", "Product ID": "product_id"}
    assert found == {"Product ID": "product_id"}


def test_two_columns_that_could_be_one_are_refused() -> None:
    with pytest.raises(shelfwise.InputError) as caught:
        resolve(["sku", "item_id", "name"])
    assert "'sku' and 'item_id' could both be product_id" in caught.value.message
    assert "columns={'sku': 'product_id'}" in caught.value.hint


def test_two_spellings_of_one_name_are_refused() -> None:
    with pytest.raises(shelfwise.InputError, match="could both be price"):
        resolve(["Price", "PRICE"])


def test_a_mapping_settles_what_is_ambiguous() -> None:
    assert resolve(["sku", "item_id"], {"sku": "product_id"})[0] == {"sku": "product_id"}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"nothing": "price"}, "'nothing', which is no column of the data"),
        ({"a": "profit"}, "'profit', which is no column of the contract"),
        ({"a": "price", "b": "price"}, "gives two columns the same name"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(mapping: dict[str, str], message: str) -> None:
    with pytest.raises(shelfwise.InputError, match=message):
        resolve(["a", "b"], mapping)


def test_all_missing_columns_are_named_at_once(frame: Engine) -> None:
    with pytest.raises(shelfwise.InputError) as caught:
        shelfwise.analyze(frame([{"product_id": 1, "stock": 3.0}]))
    assert caught.value.message == "Missing column: name, price, units_sold."
    assert "columns={'theirs': 'ours'}" in caught.value.hint


def test_stock_alone_may_be_missing_altogether() -> None:
    given = ("product_id", "name", "price", "units_sold")
    assert list(contract(given, frozenset({"stock"}), "refuse")) == list(given)


def test_what_a_profile_needs_becomes_required() -> None:
    given = (*REQUIRED, "unit_cost")
    assert not COLUMN["unit_cost"].required
    assert contract(given, frozenset({"unit_cost"}), "refuse")["unit_cost"].required


def test_a_price_of_zero_is_in_the_contract_only_where_allowed() -> None:
    assert contract(REQUIRED, frozenset(), "refuse")["price"].besides is None
    assert contract(REQUIRED, frozenset(), "allow")["price"].besides == 0


THEIRS = [
    {"SKU": f"00{i}", "Title": f"P{i}", "List price": 1.0 + i, "qty": float(i), "On hand": 2.0}
    for i in range(6)
]


def test_their_columns_are_found_and_the_finding_is_said(frame: Engine) -> None:
    analysis = shelfwise.analyze(frame(THEIRS))
    got = frame.read(analysis.products)
    assert [row["product_id"] for row in got] == [f"00{i}" for i in range(6)]
    (message,) = [w.message for w in analysis.warnings if w.code == "columns_matched"]
    for theirs, ours in (("SKU", "product_id"), ("qty", "units_sold"), ("On hand", "stock")):
        assert f"'{theirs}' as {ours}" in message


def test_a_mapped_column_takes_the_place_of_the_one_with_that_name(frame: Engine) -> None:
    rows = [ROW | {"product_id": i, "paid": 7.0 + i} for i in range(3)]
    analysis = shelfwise.analyze(frame(rows), columns={"paid": "price"})
    got = frame.read(analysis.products)
    assert [row["price"] for row in got] == [7.0, 8.0, 9.0]
    assert [row["price_given"] for row in got] == [2.0] * 3
    assert "column_set_aside" in {warning.code for warning in analysis.warnings}


@pytest.mark.parametrize("first", [True, False], ids=["mapped first", "mapped last"])
def test_a_mapping_wins_in_a_list_of_dicts_too(first: bool) -> None:
    rows = [
        {"paid": 7.0 + i} | ROW | {"product_id": i} if first
        else ROW | {"product_id": i, "paid": 7.0 + i}
        for i in range(3)
    ]  # fmt: skip
    products = shelfwise.analyze(rows, columns={"paid": "price"}).products
    assert products["price"].to_list() == [7.0, 8.0, 9.0]
    assert products["revenue"].to_list() == [21.0, 24.0, 27.0]


def test_a_column_that_is_set_aside_overwrites_none(frame: Engine) -> None:
    rows = [ROW | {"product_id": i, "paid": 7.0, "price_given": 1.0} for i in range(3)]
    with pytest.raises(shelfwise.InputError, match="both price and price_given"):
        shelfwise.analyze(frame(rows), columns={"paid": "price"})


def test_a_column_mapped_to_itself_is_no_finding() -> None:
    analysis = shelfwise.analyze([ROW], columns={"price": "price"})
    assert "columns_matched" not in {warning.code for warning in analysis.warnings}


def test_a_column_can_be_left_out_by_name() -> None:
    assert resolve(["unit_cost", "price"], {"unit_cost": "-"})[0] == {
        "unit_cost": "unit_cost_given"
    }
    assert resolve(["Cost"], {"Cost": "-"})[0] == {"Cost": "Cost_given"}
    with pytest.raises(InputError, match="unit_cost_given"):
        resolve(["unit_cost", "unit_cost_given"], {"unit_cost": "-"})


def test_products_are_scored_without_a_column_that_is_left_out() -> None:
    rows = [{"product_id": n, "name": f"Tea {n}", "price": 2.0, "units_sold": n, "stock": 3,
             "unit_cost": -1.0} for n in (1, 2, 3)]  # fmt: skip
    with pytest.raises(InputError, match="unit_cost"):
        analyze(rows)
    products = analyze(rows, columns={"unit_cost": "-"}).products
    assert "unit_cost" not in products.columns
    assert products["unit_cost_given"].to_list() == [-1.0] * 3
