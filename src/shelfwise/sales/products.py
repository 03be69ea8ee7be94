"""The sums of each product made ready to score: ids, names, catalogue, stock, set aside.

The sums are a Narwhals frame: in memory, or on Spark where products are too many for it.
"""

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.cells import CONTROL, Rejection, complaint
from shelfwise.columns import COLUMN, COLUMNS
from shelfwise.errors import InputError, excerpt
from shelfwise.pipeline.aggregate import usual_names
from shelfwise.pipeline.check import EXAMINED, is_bad, number_of, refuse_kinds
from shelfwise.quality import EXAMPLES, Finding
from shelfwise.rules import Mark, Rules
from shelfwise.sales.reading import LINE, UNREADABLE_KEPT, beside, collected, opened
from shelfwise.sales.rollup import LEVELS, rolled_up


def identified(counted: Any) -> tuple[Any, int, list[Rejection]]:
    """The products whose id is one, with names that are fit to show; and the others' lines."""
    column = LINE["product_id"]
    counted = counted.with_columns(_given=nw.col("product_id").cast(nw.String))
    counted = counted.with_columns(product_id=nw.col("_given").str.strip_chars())
    counted = counted.with_columns(_bad=is_bad(column, nw.String()))
    found = collected(
        counted.select(
            bad=nw.when(nw.col("_bad")).then(nw.col("_n")).otherwise(0).sum(),
            given=nw.col("_given").n_unique(),
            ids=nw.col("product_id").n_unique(),
        )
    ).row(0, named=True)
    problems = []
    if found["bad"]:
        bad = collected(counted.filter("_bad").select("product_id").head(UNREADABLE_KEPT))
        problems = [
            Rejection(None, "product_id", value, complaint(column, value) or "")
            for value in bad["product_id"]
        ]
    good = counted.filter(~nw.col("_bad")).drop("_bad", "_given")
    if found["ids"] < found["given"]:
        good = _added_up(good)
    names = [n for n in ("name", "_other_name") if n in good.collect_schema().names()]
    shown = {
        name: nw.col(name)
        .str.replace_all(CONTROL.pattern, " ")
        .str.strip_chars()
        .str.slice(0, LINE["name"].max_length)
        for name in names
    }
    if names:
        good = good.with_columns(**{n: nw.when(s != "").then(s) for n, s in shown.items()})
    return good, int(found["bad"] or 0), problems


def _added_up(counted: Any) -> Any:
    """One row an id, where blanks around it made several."""
    sums = {}
    for name in counted.collect_schema().names():
        if name == "first_sale" or name.startswith("_other_"):
            sums[name] = nw.col(name).min()
        elif name in ("last_sale", "name", "currency"):
            sums[name] = nw.col(name).max()
        elif name not in ("product_id", "location"):
            sums[name] = nw.col(name).sum()
    return counted.group_by(*_keys(counted)).agg(**sums)


def left_out(counted: Any, mark: Mark, rules: Rules, of_lines: Sequence[Mark]) -> Any:
    """The sums with whole products left out: what counted of them moves to the mark."""
    found = mark.lines(rules)
    assert found is not None  # `marks_of` chose those that are
    moved = {"lines": "lines", "units": "units_sold", "revenue": "net_revenue"}
    emptied = ["lines", "units_sold", "net_revenue", "gross_units", "gross_revenue"]
    for other in of_lines:
        if other.action != "left out":
            emptied += [f"_{kind}_{other.name}" for kind in moved]
    counted = counted.with_columns(_hit=found.fill_null(False))
    hit = nw.col("_hit")
    new = {f"_{k}_{mark.name}": nw.when(hit).then(nw.col(n)).otherwise(0) for k, n in moved.items()}
    new |= {n: nw.when(~hit).then(nw.col(n)).otherwise(0) for n in emptied}
    new |= {n: nw.when(~hit).then(nw.col(n)) for n in ("first_sale", "last_sale")}
    return counted.with_columns(**new).drop("_hit")


def named(frame: Any, counted: Any) -> Any:
    """Products of several names with the one that most of their sales have."""
    if "name" not in counted.collect_schema().names():
        return counted
    several = counted.filter(nw.col("name") != nw.col("_other_name")).select("product_id")
    text = frame.with_columns(product_id=nw.col("product_id").cast(nw.String).str.strip_chars())
    if isinstance(counted, nw.DataFrame):
        ids = several["product_id"].to_list()
        if not ids:
            return counted
        usual = nw.from_native(collected(usual_names(text.filter(nw.col("product_id").is_in(ids)))))
    else:
        usual = usual_names(text.join(several, on="product_id", how="semi"))
    # The most frequent one; of equally frequent ones the last in the alphabet.
    usual = usual.with_columns(_most=nw.col("n").max().over("product_id"))
    usual = usual.filter(nw.col("n") == nw.col("_most"))
    usual = usual.group_by("product_id").agg(usual=nw.col("name").max())
    joined = counted.join(usual, on="product_id", how="left")
    joined = joined.with_columns(usual=nw.coalesce("usual", "name"))
    other = nw.when(nw.col("usual") == nw.col("_other_name")).then(nw.col("name"))
    named = joined.with_columns(
        name=nw.col("usual"), _other_name=other.otherwise(nw.col("_other_name"))
    )
    return named.drop("usual")


def with_last_price(frame: Any, counted: Any) -> Any:
    """The products with `last_price`: the most paid for a unit on the last day of a sale."""
    text = nw.col("product_id").cast(nw.String).str.strip_chars()
    sold = frame.filter(nw.col("_counts") == 1, nw.col("quantity") > 0)
    keys = _keys(counted)
    sold = sold.with_columns(product_id=text, last_price=nw.col("revenue") / nw.col("quantity"))
    daily = sold.group_by(*keys, "date").agg(last_price=nw.col("last_price").max())
    last = daily.group_by(*keys).agg(date=nw.col("date").max())
    prices = daily.join(last, on=[*keys, "date"], how="semi").drop("date")
    return counted.join(beside(counted, prices), on=keys, how="left")


def to_score(
    counted: Any, catalog: Any, stock: Any, by: str = "product_id"
) -> tuple[Any, pl.DataFrame, list[Finding]]:
    """The products to score, those that cannot be, and what is odd about some."""
    products = counted.filter(nw.col("lines") > 0)
    findings = _odd(products)
    names = products.collect_schema().names()
    if "_cost" in names:
        known = nw.col("_costed") > 0
        per_unit = nw.col("_cost") / nw.when(known).then(nw.col("_costed")).otherwise(1.0)
        products = products.with_columns(unit_cost=nw.when(known).then(per_unit))
    products = products.drop(*(n for n in names if n.startswith("_")))
    if catalog is not None:
        products, found = _with_catalog(products, catalog)
        findings += found
    if stock is not None:
        products = _with_stock(products, stock)
    if by in LEVELS:
        products = rolled_up(products, by)
    products = _without_residue(products)
    never_sold = nw.col("lines").is_null() | (nw.col("lines") == 0)
    fine = never_sold | ((nw.col("units_sold") > 0) & (nw.col("net_revenue") > 0))
    aside, count = _set_aside(products.filter(~fine.fill_null(True)))
    if count:
        examples = tuple(aside.select("product_id", "reason").head(EXAMPLES).iter_rows(named=True))
        findings.append(
            Finding("nothing_left", "left out", "Products whose units or revenue are not above 0 "
                    "after returns: not scored, and N in ABC.", products=count,
                    examples=examples)
        )  # fmt: skip
    names = products.collect_schema().names()
    left = nw.col("units_sold") > 0
    net = nw.col("net_revenue") / nw.when(left).then(nw.col("units_sold")).otherwise(1.0)
    price = nw.when(left).then(net)
    products = products.filter(fine).with_columns(
        price=nw.coalesce(price, nw.col("price")) if "price" in names else price,
        units_sold=nw.col("units_sold").fill_null(0.0),
        name=nw.coalesce(*(["name"] if "name" in names else []), nw.col("product_id")),
    )
    if isinstance(products, nw.DataFrame):
        # On an engine, which keeps no order, a sort would move every row for nothing.
        products = products.sort(*_keys(products))
    return products, aside, findings


def _without_residue(products: Any) -> Any:
    """Sums that returns have brought to nothing, as 0.

    0.1 + 0.2 - 0.3 is 5e-17 in floats, and another number on an engine that adds up in
    another order; a product is not sold because of that.
    """
    pairs = {"units_sold": "gross_units", "net_revenue": "gross_revenue"}
    rest = {net: nw.col(net).abs() <= 1e-12 * nw.col(gross) for net, gross in pairs.items()}
    return products.with_columns(
        **{net: nw.when(hit).then(0.0).otherwise(nw.col(net)) for net, hit in rest.items()}
    )


def _keys(products: Any) -> list[str]:
    """What tells the rows apart: the product, or the product and where it was sold."""
    return [n for n in ("product_id", "location") if n in products.collect_schema().names()]


def _set_aside(products: Any) -> tuple[pl.DataFrame, int]:
    """The products with nothing left, with the reason; and how many there are."""
    keys = _keys(products)
    wanted = products.select(*keys, "units_sold", "net_revenue")
    aside = collected(wanted.head(EXAMINED)).sort(keys)
    count = aside.height
    if count == EXAMINED:
        count = int(collected(products.select(n=nw.len())).item())
    no_units = pl.col("units_sold") <= 0
    what = pl.when(no_units).then(pl.lit("units")).otherwise(pl.lit("revenue"))
    amount = pl.when(no_units).then("units_sold").otherwise("net_revenue")
    reason = pl.format("{} of {} left after returns", amount.round(2), what)
    return aside.with_columns(reason=reason), count


def _odd(products: Any) -> list[Finding]:
    """What the products' ids and names give away."""
    findings = []
    if "name" in products.collect_schema().names():
        differing = products.filter(nw.col("name") != nw.col("_other_name"))
        count = int(collected(differing.select(n=nw.len())).item())
        if count:
            some = differing.select("product_id", "name", "_other_name")
            rows = collected(some.sort("product_id").head(EXAMPLES))
            findings.append(
                Finding("names_differ", "told", "Products whose lines have several names.",
                        products=count,
                        examples=tuple(rows.rename({"_other_name": "other"})
                                       .iter_rows(named=True)))
            )  # fmt: skip
    folded = products.with_columns(_folded=nw.col("product_id").str.to_lowercase())
    ends = {"_one": nw.col("product_id").min(), "_other": nw.col("product_id").max()}
    variants = folded.with_columns(**{n: end.over("_folded") for n, end in ends.items()})
    variants = variants.filter(nw.col("_one") != nw.col("_other"))
    count = int(collected(variants.select(n=nw.len())).item())
    if count:
        rows = collected(variants.sort("_folded", "product_id").head(2 * EXAMPLES))
        findings.append(
            Finding("case_variants", "told", "Ids that differ only in their case; each is a "
                    "product of its own.", products=count,
                    examples=tuple(rows.select("product_id", "units_sold", "net_revenue")
                                   .iter_rows(named=True)))
        )  # fmt: skip
    return findings


def _with_catalog(products: Any, catalog: Any) -> tuple[Any, list[Finding]]:
    known = _identified(beside(products, opened(catalog, None, COLUMNS)), "catalogue")
    known = known.drop(*(n for n in ("units_sold", "net_revenue") if n in known.columns))
    twice = known.group_by("product_id").agg(n=nw.len()).filter(nw.col("n") > 1)
    if repeated := collected(twice.head(1))["product_id"].to_list():
        raise InputError(f"The catalogue has product {excerpt(repeated[0])} more than once.")
    ours, theirs = products.collect_schema().names(), known.collect_schema().names()
    both = [n for n in theirs if n in ours and n != "product_id"]
    unknown = products.join(known.select("product_id"), on="product_id", how="anti")
    known = known.rename({n: f"known {n}" for n in ("product_id", *both)})
    joined = products.join(known, left_on="product_id", right_on="known product_id", how="full")
    # The catalogue's word counts before what the lines say.
    joined = joined.with_columns(
        product_id=nw.coalesce("product_id", "known product_id"),
        **{n: nw.coalesce(f"known {n}", n) for n in both},
    ).drop("known product_id", *(f"known {n}" for n in both))
    findings = []
    count = int(collected(unknown.select(n=nw.len())).item())
    if count:
        rows = unknown.select("product_id", "net_revenue").sort("product_id").head(EXAMPLES)
        findings.append(
            Finding("not_in_catalogue", "counted", "Products sold that the catalogue does not "
                    "have.", products=count,
                    examples=tuple(collected(rows).iter_rows(named=True)))
        )  # fmt: skip
    return joined, findings


def _with_stock(products: Any, stock: Any) -> Any:
    held = _identified(beside(products, opened(stock, None, COLUMNS)), "stock")
    if "stock" not in held.columns:
        raise InputError("The stock has no column stock.", "Name it stock, on_hand or quantity.")
    unknown = nw.when(nw.col("stock").is_null()).then(1).otherwise(0)
    held = held.with_columns(_unknown=unknown)
    ours = products.collect_schema().names()
    # Where products are divided by location, so is the stock that names one.
    keys = [n for n in _keys(held) if n in ours]
    if "location" in keys:
        held = held.with_columns(location=nw.col("location").fill_null(""))
    held = held.group_by(*keys).agg(stock=nw.col("stock").sum(), _unknown=nw.col("_unknown").sum())
    # A stock that is not known is not 0: that would read as sold out.
    held = held.with_columns(stock=nw.when(nw.col("_unknown") == 0).then(nw.col("stock")))
    held = held.drop("_unknown")
    products = products.drop("stock") if "stock" in ours else products
    return products.join(held, on=keys, how="left")


def _identified(frame: Any, what: str) -> Any:
    """The rows of the catalogue or of the stock, with ids as text and numbers as numbers."""
    schema = frame.collect_schema()
    if "product_id" not in schema:
        raise InputError(f"The {what} has no column product_id.", "Rename yours: sku, id, article.")
    refuse_kinds({name: COLUMN[name] for name in schema}, schema)
    numbers = [name for name in schema if COLUMN[name].kind == "number"]
    written = [name for name in numbers if schema[name] == nw.String]
    for name in ("product_id", *written):
        given = nw.col(name).cast(nw.String).str.strip_chars()
        empty = given.is_null() | (given == "")
        is_number = ~number_of(name, schema[name]).is_null() if name in written else nw.lit(True)
        wrong = empty if name == "product_id" else ~empty & ~is_number
        some = collected(frame.filter(wrong.fill_null(True)).select(given.alias(name)).head(1))
        if some.height:
            raise InputError(
                f"The {what} has {name} {excerpt(some[name][0] or '')}.",
                "It is an id of each row." if name == "product_id" else "It is a number.",
            )
    text = nw.col("product_id").cast(nw.String).str.strip_chars()
    return frame.with_columns(
        product_id=text, **{name: number_of(name, schema[name]) for name in numbers}
    )
