"""Bad rows: rejected with every reason, skipped with every reason, or put right and counted."""

from typing import Any

import pytest

import shelfwise
from kinds import ENGINES, Engine
from reference import judge


def product(i: int, **more: Any) -> dict[str, Any]:
    return {"product_id": i, "name": f"P{i}", "price": 1.0 + i, "units_sold": 2.0 * i,
            "stock": 3.0} | more  # fmt: skip


GOOD = [product(i) for i in range(1, 9)]
BAD = [
    product(1), product(2, price=-4.0), product(3, name="  "), product(4, units_sold=None),
    product(5, stock=-1.0, price=2e12), product(6),
]  # fmt: skip
REASONS = {
    ("/1/price", "price is -4; it must be 1e-06 or more"),
    ("/2/name", "name is empty"),
    ("/3/units_sold", "units_sold is missing"),
    ("/4/price", "price is 2000000000000; it must be 1000000000000 or less"),
    ("/4/stock", "stock is -1; it must be 0 or more"),
}


def reasons_of(analysis: Any) -> list[tuple[int | None, str, str]]:
    return list(analysis.rejected.select("row", "column", "reason").iter_rows())


def sources(rows: list[dict[str, Any]]) -> list[Any]:
    """Every way to bring the same rows: the list itself and each kind of frame."""
    return [rows, *(engine(rows) for engine in ENGINES)]


def test_reject_lists_every_problem_with_a_pointer(frame: Engine) -> None:
    with pytest.raises(shelfwise.RejectedRowsError) as caught:
        shelfwise.analyze(frame(BAD))
    problems = {(problem.pointer, problem.detail) for problem in caught.value.problems}
    expected = REASONS if frame.ordered else {(f"//{p.split('/')[2]}", d) for p, d in REASONS}
    assert problems == expected
    assert caught.value.count == 5
    assert caught.value.code == "rejected_rows"
    assert "skip" in caught.value.hint


def test_reject_lists_every_problem_of_a_list() -> None:
    with pytest.raises(shelfwise.RejectedRowsError) as caught:
        shelfwise.analyze(BAD)
    assert {(problem.pointer, problem.detail) for problem in caught.value.problems} == REASONS


def test_skip_scores_the_good_rows_and_says_why_not_the_others(frame: Engine) -> None:
    analysis = shelfwise.analyze(frame(BAD), on_error="skip")
    got = frame.read(analysis.products)
    assert [row["product_id"] for row in got] == [1, 6]
    assert [row["performance_score"] for row in got] == judge([BAD[0], BAD[5]]).scores
    found = {(row if frame.ordered else None, column, reason)
             for row, column, reason in reasons_of(analysis)}  # fmt: skip
    assert found == {
        (int(pointer.split("/")[1]) if frame.ordered else None, pointer.split("/")[2], reason)
        for pointer, reason in REASONS
    }
    assert analysis.summary["skipped"] == 4
    assert [w.message for w in analysis.warnings if w.code == "rows_skipped"] == [
        "4 rows were not scored."
    ]


def test_skip_does_the_same_for_a_list() -> None:
    analysis = shelfwise.analyze(BAD, on_error="skip")
    assert analysis.products["product_id"].to_list() == [1, 6]
    assert {(f"/{row}/{column}", reason) for row, column, reason in reasons_of(analysis)} == REASONS


def test_nothing_left_to_score_is_an_error() -> None:
    rows = [product(i, price=-1.0) for i in range(3)]
    for on_error in ("skip", "repair"):
        with pytest.raises(shelfwise.RejectedRowsError, match="3 problems in the rows"):
            shelfwise.analyze(rows, on_error=on_error)


def test_a_product_that_stands_twice_is_set_aside_each_time(frame: Engine) -> None:
    rows = [*GOOD, product(3, price=99.0)]
    with pytest.raises(shelfwise.RejectedRowsError, match="product_id 3 stands 2 times"):
        shelfwise.analyze(frame(rows))
    analysis = shelfwise.analyze(frame(rows), on_error="skip")
    kept = [row["product_id"] for row in frame.read(analysis.products)]
    assert kept == [1, 2, 4, 5, 6, 7, 8]
    assert analysis.summary["skipped"] == 2
    places = " (rows 2, 8)" if frame.ordered else ""
    assert {reason for _, _, reason in reasons_of(analysis)} == {
        f"product_id 3 stands 2 times{places}"
    }


def test_one_as_number_and_as_text_are_the_same_product() -> None:
    with pytest.raises(shelfwise.RejectedRowsError, match="product_id '1' stands 2 times"):
        shelfwise.analyze([product(1), product(2) | {"product_id": "1"}])


def test_leading_zeros_make_another_product(frame: Engine) -> None:
    rows = [product(i) | {"product_id": text} for i, text in enumerate(["1", "01", "001"])]
    products = shelfwise.analyze(frame(rows)).products
    assert sorted(frame.column(products, "product_id")) == ["001", "01", "1"]


def test_a_product_may_stand_once_in_each_location(frame: Engine) -> None:
    rows = [product(1, location="A"), product(1, location="B"), product(2, location="A")]
    assert shelfwise.analyze(frame(rows)).summary["products"] == 3
    with pytest.raises(shelfwise.RejectedRowsError, match="product_id 1 at 'A' stands 2 times"):
        shelfwise.analyze(frame([*rows, product(1, location="A")]))


def test_a_product_twice_without_a_location_is_found(frame: Engine) -> None:
    rows = [product(1, location=None), product(1, location=None), product(2, location="A")]
    for source in (rows, frame(rows)):
        with pytest.raises(shelfwise.RejectedRowsError, match="stands 2 times"):
            shelfwise.analyze(source)


def test_a_duplicate_of_a_bad_row_is_no_duplicate(frame: Engine) -> None:
    rows = [*GOOD, product(3, price=-1.0)]
    analysis = shelfwise.analyze(frame(rows), on_error="skip")
    assert analysis.summary["products"] == len(GOOD)
    assert analysis.summary["skipped"] == 1


REPAIRABLE = [
    product(1, price="$4.50 ", units_sold="7", stock="3"),
    product(2, price="1.234,56", units_sold="8", stock="-3"),
    product(3, price="2", units_sold=" 9 ", stock="4"),
    product(4, price="1,234", units_sold="9", stock="4"),
    product(5, price="2", units_sold="some", stock=""),
]


def test_repair_puts_right_counts_and_skips_the_rest(frame: Engine) -> None:
    analysis = shelfwise.analyze(frame(REPAIRABLE), on_error="repair")
    got = frame.read(analysis.products)
    assert [row["product_id"] for row in got] == [1, 2, 3]
    assert [row["price"] for row in got] == [4.5, 1234.56, 2.0]
    assert [row["stock"] for row in got] == [3, 0, 4]
    assert [row["flags"] for row in got] == ["", "sold_out oversold", ""]
    assert {reason for _, _, reason in reasons_of(analysis)} == {
        "price is the text '1,234'; it must be a number",
        "units_sold is the text 'some'; it must be a number",
        "stock is missing",
    }
    (message,) = [w.message for w in analysis.warnings if w.code == "repaired"]
    assert "price in 2" in message
    assert "stock in 1" in message
    assert analysis.summary["skipped"] == 2


def test_repair_of_a_list_gives_the_same_products_and_flags() -> None:
    analysis = shelfwise.analyze(REPAIRABLE, on_error="repair")
    assert analysis.products["price"].to_list() == [4.5, 1234.56, 2.0]
    assert analysis.products["stock"].to_list() == [3, 0, 4]
    assert analysis.products["flags"].to_list() == ["", "sold_out oversold", ""]
    assert analysis.summary["skipped"] == 2


def test_repair_of_a_list_keeps_its_flags_on_duckdb() -> None:
    products = shelfwise.analyze(REPAIRABLE, on_error="repair", engine="duckdb").products
    rows = products.pl().sort("product_id")
    assert rows["flags"].to_list() == ["", "sold_out oversold", ""]


def test_repair_changes_nothing_that_is_right(frame: Engine) -> None:
    rows = [row | {"category": "Tea", "discontinued": False} for row in GOOD]
    plain = shelfwise.analyze(frame(rows))
    mended = shelfwise.analyze(frame(rows), on_error="repair")
    assert frame.read(mended.products) == frame.read(plain.products)
    assert "repaired" not in {warning.code for warning in mended.warnings}


def test_stock_below_zero_becomes_zero_once(frame: Engine) -> None:
    rows = [*GOOD[:3], product(4, stock=-2.5)]
    analysis = shelfwise.analyze(frame(rows), on_error="repair")
    got = frame.read(analysis.products)[3]
    assert (got["stock"], got["flags"]) == (0, "sold_out oversold")
    (message,) = [w.message for w in analysis.warnings if w.code == "repaired"]
    assert message == "Values were put right: stock in 1 rows."


def test_a_repair_in_two_steps_counts_as_one(frame: Engine) -> None:
    rows = [product(1, stock="3"), product(2, stock="-3 $")]
    analysis = shelfwise.analyze(frame(rows), on_error="repair")
    (message,) = [w.message for w in analysis.warnings if w.code == "repaired"]
    assert message == "Values were put right: stock in 1 rows."


def test_no_row_vanishes_without_a_reason() -> None:
    # Dates as only some readers take them; whatever is decided, the counts must agree.
    for text in (
        "20260131",
        "2026-W05-6",
        "2026-02-31",
        " 2026-01-31",
        "2026-1-31",
        "2026-01-31T08",
    ):
        rows = [product(i, launch_date="2026-01-31") for i in range(5)]
        rows[2]["launch_date"] = text
        verdicts = set()
        for source in sources(rows):
            analysis = shelfwise.analyze(source, on_error="skip")
            skipped = analysis.summary["skipped"]
            assert analysis.summary["products"] + skipped == len(rows), text
            assert len(analysis.rejected) == skipped, text
            verdicts.add(skipped)
        assert len(verdicts) == 1, f"{text!r}: frames and lists disagree"


def test_blanks_of_every_kind_are_an_empty_name() -> None:
    for blank in ("", " \u00a0", "\u2003\u3000"):
        rows = [*GOOD, product(20, name=blank)]
        for source in sources(rows):
            analysis = shelfwise.analyze(source, on_error="skip")
            assert analysis.summary["products"] == len(GOOD), (blank, type(source))
            assert analysis.rejected["reason"].to_list() == ["name is empty"]


def test_length_is_counted_in_characters() -> None:
    for source in sources([product(1, name="ü" * 1000), product(2, name="灯" * 1001)]):
        analysis = shelfwise.analyze(source, on_error="skip")
        assert analysis.rejected["reason"].to_list() == [
            "name has 1001 characters; at most 1000 are allowed"
        ]


def test_infinite_and_missing_numbers_are_found() -> None:
    inf, nan = float("inf"), float("nan")
    for source in sources([*GOOD, product(20, price=inf), product(21, units_sold=nan)]):
        analysis = shelfwise.analyze(source, on_error="skip")
        assert analysis.summary["products"] == len(GOOD)
        assert sorted(analysis.rejected["reason"].to_list()) == [
            "price is inf; it must be 1000000000000 or less", "units_sold is missing",
        ]  # fmt: skip


def test_a_mixture_of_currencies_is_refused(frame: Engine) -> None:
    rows = [product(1, currency="EUR"), product(2, currency=None), product(3, currency="USD")]
    for source in (rows, frame(rows)):
        with pytest.raises(shelfwise.InputError, match="mix currencies: 'EUR', 'USD'"):
            shelfwise.analyze(source)


def test_one_currency_with_gaps_is_fine(frame: Engine) -> None:
    rows = [product(1, currency="EUR"), product(2, currency=None)]
    for source in (rows, frame(rows)):
        assert shelfwise.analyze(source).summary["products"] == 2


def test_a_column_of_the_wrong_type_is_refused_whole(frame: Engine) -> None:
    rows = [row | {"price": row["price"] > 0} for row in GOOD]
    with pytest.raises(
        shelfwise.InputError, match="price has the type Boolean; it must be numbers"
    ):
        shelfwise.analyze(frame(rows))


def test_no_rows_are_an_error(frame: Engine) -> None:
    empty = {"product_id": [1], "name": ["a"], "price": [1.0], "units_sold": [1.0], "stock": [1.0]}
    native = frame(empty)
    nothing = native.limit(0) if frame.name in ("duckdb", "spark") else native[:0]
    with pytest.raises(shelfwise.InputError, match="There are no rows"):
        shelfwise.analyze(nothing)
    with pytest.raises(shelfwise.InputError, match="There are no rows"):
        shelfwise.analyze([])


def test_a_list_of_other_things_is_refused_with_pointers() -> None:
    with pytest.raises(shelfwise.RejectedRowsError) as caught:
        shelfwise.analyze([product(1), 5, None, [1]])
    assert [problem.pointer for problem in caught.value.problems] == ["/1", "/2", "/3"]
    assert caught.value.problems[0].detail == "a product must be an object"


def test_an_unknown_way_of_handling_errors_is_refused() -> None:
    with pytest.raises(shelfwise.InputError, match="on_error is 'ignore'"):
        shelfwise.analyze(GOOD, on_error="ignore")  # type: ignore[arg-type]


def test_rejected_values_are_shown_shortened() -> None:
    for source in sources([*GOOD, product(20, name="long " * 400)]):
        analysis = shelfwise.analyze(source, on_error="skip")
        assert len(analysis.rejected["value"][0]) <= 103
