"""Order lines to products: one group-by, in which each rule's lines are counted too."""

from collections.abc import Collection, Sequence
from typing import Any

import narwhals.stable.v2 as nw

from shelfwise.rules import MARKS, Mark, Rules


def valued(lines: Any) -> Any:
    """The lines with `revenue`: the line's total, or else price x units less the discount."""
    names = set(lines.collect_schema().names())
    if "unit_price" in names:
        computed = nw.col("quantity") * nw.col("unit_price")
        if "discount" in names:
            computed = computed * (1.0 - nw.col("discount").fill_null(0.0))
        lines = lines.with_columns(_computed=computed)
    if "line_total" not in names:
        return lines.with_columns(revenue=nw.col("_computed"))
    if "unit_price" not in names:
        return lines.with_columns(revenue=nw.col("line_total"))
    missing = nw.col("line_total").is_null()
    return lines.with_columns(
        revenue=nw.when(missing).then(nw.col("_computed")).otherwise(nw.col("line_total"))
    )


def marks_of(names: Collection[str], rules: Rules) -> list[Mark]:
    """The marks that these columns allow and these rules ask for."""
    return [mark for mark in MARKS if mark.needs <= set(names) and mark.lines(rules) is not None]


def marked(lines: Any, rules: Rules, marks: Sequence[Mark]) -> Any:
    """The lines with `_is_MARK` (1.0 or 0.0) for each mark, and `_counts` (1.0 or 0.0).

    Floats, because some engines add up integers in 128 bits, at twice the time.

    A line that is left out is marked for the first reason only, and for nothing that
    lines are counted for.
    """
    lines = lines.with_columns(_counts=nw.lit(1.0))
    some_are_left_out = False
    for mark in marks:
        found = mark.lines(rules)
        assert found is not None  # `marks_of` chose those that are
        hit = found.fill_null(False)
        if some_are_left_out:
            hit = hit & (nw.col("_counts") == 1)
        some_are_left_out |= mark.action == "left out"
        lines = lines.with_columns(**{f"_is_{mark.name}": nw.when(hit).then(1.0).otherwise(0.0)})
        if mark.action == "left out":
            left = nw.col("_counts") - nw.col(f"_is_{mark.name}")
            lines = lines.with_columns(_counts=left)
    return lines


def aggregate(lines: Any, marks: Sequence[Mark], by: Sequence[str]) -> Any:
    """One row a product (and whatever else `by` names) of marked lines, with all its sums.

    Units and revenue are net of returns; gross ones stand beside. `_lines_MARK`,
    `_units_MARK` and `_revenue_MARK` are the sums over each mark's lines.
    """
    names = lines.collect_schema().names()
    counts = nw.col("_counts")
    units, money, day = nw.col("quantity"), nw.col("revenue"), nw.col("date")
    if any(mark.action == "left out" for mark in marks):
        units, money, day = units * counts, money * counts, nw.when(counts == 1).then(day)
    lines = lines.with_columns(_units=units, _money=money, _day=day)
    lines = lines.with_columns(
        _sold=nw.when(nw.col("_units") > 0).then(nw.col("_units")).otherwise(0.0),
        _taken=nw.when(nw.col("_money") > 0).then(nw.col("_money")).otherwise(0.0),
        **{f"_u_{m.name}": nw.col("quantity") * nw.col(f"_is_{m.name}") for m in marks},
        **{f"_r_{m.name}": nw.col("revenue") * nw.col(f"_is_{m.name}") for m in marks},
    )
    sums = {
        "units_sold": nw.col("_units").sum(),
        "net_revenue": nw.col("_money").sum(),
        "gross_units": nw.col("_sold").sum(),
        "gross_revenue": nw.col("_taken").sum(),
        "lines": counts.sum(),
        "_n": nw.len(),
        "first_sale": nw.col("_day").min(),
        "last_sale": nw.col("_day").max(),
    }
    for mark in marks:
        sums[f"_lines_{mark.name}"] = nw.col(f"_is_{mark.name}").sum()
        sums[f"_units_{mark.name}"] = nw.col(f"_u_{mark.name}").sum()
        sums[f"_revenue_{mark.name}"] = nw.col(f"_r_{mark.name}").sum()
    if "name" in names:
        lines = lines.with_columns(_name=nw.when(counts == 1).then(nw.col("name")))
        sums |= {"name": nw.col("_name").max(), "_other_name": nw.col("_name").min()}
    if "currency" in names:
        named = (counts == 1) & (nw.col("currency").str.strip_chars() != "")
        lines = lines.with_columns(_money_of=nw.when(named).then(nw.col("currency")))
        sums |= {
            "currency": nw.col("_money_of").max(),
            "_other_currency": nw.col("_money_of").min(),
        }
    if "cost" in names:
        # Of what was sold, where the cost is known: a return may be booked at another cost.
        known = nw.when(~nw.col("cost").is_null()).then(nw.col("_sold"))
        lines = lines.with_columns(_cost=nw.col("cost") * nw.col("_sold"), _costed=known)
        sums |= {"_cost": nw.col("_cost").sum(), "_costed": nw.col("_costed").sum()}
    counted = lines.group_by(*by).agg(**sums)
    return counted.with_columns(lines=nw.col("lines").cast(nw.Int64))


def usual_names(lines: Any) -> Any:
    """How many counted sales each name of a product has: product_id, name, n.

    What is written beside a return or a correction ("damaged", "found") is no name.
    """
    sold = lines.filter(nw.col("_counts") == 1, nw.col("revenue") > 0)
    return sold.group_by("product_id", "name").agg(n=nw.len())
