"""The sums of each product made ready to score: ids, names, catalogue, stock, set aside."""

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.cells import CONTROL, Rejection, complaint
from shelfwise.columns import COLUMN, COLUMNS
from shelfwise.errors import InputError, excerpt
from shelfwise.pipeline.aggregate import usual_names
from shelfwise.pipeline.check import is_bad
from shelfwise.quality import EXAMPLES, Finding
from shelfwise.rules import Mark, Rules
from shelfwise.sales.reading import LINE, UNREADABLE_KEPT, collected, opened


def identified(counted: pl.DataFrame) -> tuple[pl.DataFrame, int, list[Rejection]]:
    """The products whose id is one, with names that are fit to show; and the others' lines."""
    column = LINE["product_id"]
    counted = counted.with_columns(pl.col("product_id").cast(pl.String).str.strip_chars())
    wrong = nw.from_native(counted).with_columns(_bad=is_bad(column, nw.String())).to_native()
    bad = wrong.filter("_bad")
    problems = [
        Rejection(None, "product_id", value, complaint(column, value) or "")
        for value in bad["product_id"].head(UNREADABLE_KEPT)
    ]
    good = wrong.filter(~pl.col("_bad")).drop("_bad")
    if good["product_id"].is_duplicated().any():
        good = _added_up(good)
    if "name" in good.columns:
        shown = pl.col("name", "_other_name").str.replace_all(CONTROL.pattern, " ")
        shown = shown.str.strip_chars().str.slice(0, LINE["name"].max_length)
        good = good.with_columns(pl.when(shown != "").then(shown).name.keep())
    return good, int(bad["_n"].sum()), problems


def _added_up(counted: pl.DataFrame) -> pl.DataFrame:
    """One row an id, where blanks around it made several."""
    least = pl.col("first_sale", "^_other_.*$").min()
    most = pl.col("last_sale", "^name$", "^currency$").max()
    others = pl.exclude("product_id", "first_sale", "last_sale", "name", "currency", "^_other_.*$")
    return counted.group_by("product_id").agg(least, most, others.sum())


def left_out(
    counted: pl.DataFrame, mark: Mark, rules: Rules, of_lines: Sequence[Mark]
) -> pl.DataFrame:
    """The sums with whole products left out: what counted of them moves to the mark."""
    found = mark.lines(rules)
    assert found is not None  # `marks_of` chose those that are
    hit = nw.from_native(counted).select(hit=found)["hit"].fill_null(False).to_native()
    moved = {"lines": "lines", "units": "units_sold", "revenue": "net_revenue"}
    emptied = ["lines", "units_sold", "net_revenue", "gross_units", "gross_revenue"]
    for other in of_lines:
        if other.action != "left out":
            emptied += [f"_{kind}_{other.name}" for kind in moved]
    return counted.with_columns(
        *(pl.when(hit).then(pl.col(n)).otherwise(0).alias(f"_{k}_{mark.name}")
          for k, n in moved.items()),
        *(pl.when(hit).then(0).otherwise(pl.col(n)).alias(n) for n in emptied),
        *(pl.when(~hit).then(pl.col(n)).alias(n) for n in ("first_sale", "last_sale")),
    )  # fmt: skip


def named(frame: Any, counted: pl.DataFrame) -> pl.DataFrame:
    """Products of several names with the one that most of their sales have."""
    if "name" not in counted.columns:
        return counted
    several = counted.filter(pl.col("name") != pl.col("_other_name")).select("product_id")
    if several.height == 0:
        return counted
    ids = several["product_id"].to_list()
    wanted = frame.filter(nw.col("product_id").cast(nw.String).is_in(ids))
    usual = collected(usual_names(wanted)).with_columns(pl.col("product_id").cast(pl.String))
    usual = usual.sort("n", "name", descending=[True, False]).unique(
        "product_id", keep="first", maintain_order=True
    )
    joined = counted.join(usual.select("product_id", usual="name"), on="product_id", how="left")
    usually = pl.coalesce("usual", "name")
    other = pl.when(usually == pl.col("_other_name")).then(pl.col("name"))
    named = joined.with_columns(name=usually, _other_name=other.otherwise(pl.col("_other_name")))
    return named.drop("usual")


def to_score(
    counted: pl.DataFrame, catalog: Any, stock: Any
) -> tuple[pl.DataFrame, pl.DataFrame, list[Finding]]:
    """The products to score, those that cannot be, and what is odd about some."""
    products = counted.filter(pl.col("lines") > 0)
    findings = _odd(products)
    if "_cost" in products.columns:
        unit_cost = pl.when(pl.col("units_sold") > 0).then(pl.col("_cost") / pl.col("units_sold"))
        products = products.with_columns(unit_cost=unit_cost)
    products = products.select(pl.exclude("^_.*$"))
    if catalog is not None:
        products, found = _with_catalog(products, catalog)
        findings += found
    if stock is not None:
        products = _with_stock(products, stock)
    sold = pl.col("lines").is_not_null()
    fine = ~sold | ((pl.col("units_sold") > 0) & (pl.col("net_revenue") > 0))
    what = pl.when(pl.col("units_sold") <= 0).then(pl.lit("units")).otherwise(pl.lit("revenue"))
    amount = pl.when(pl.col("units_sold") <= 0).then("units_sold").otherwise("net_revenue")
    reason = pl.format("{} of {} left after returns", amount.round(2), what)
    aside = (
        products.filter(~fine)
        .select("product_id", "units_sold", "net_revenue", reason=reason)
        .sort("product_id")
    )
    if aside.height:
        examples = tuple(aside.select("product_id", "reason").head(EXAMPLES).iter_rows(named=True))
        findings.append(
            Finding("nothing_left", "left out", "Products whose units or revenue are not above 0 "
                    "after returns: not scored, and N in ABC.", products=aside.height,
                    examples=examples)
        )  # fmt: skip
    products = products.filter(fine)
    price = pl.col("net_revenue") / pl.col("units_sold")
    given = [pl.col("price")] if "price" in products.columns else []
    name = [pl.col("name")] if "name" in products.columns else []
    products = products.with_columns(
        price=pl.coalesce(pl.when(pl.col("units_sold") > 0).then(price), *given),
        units_sold=pl.col("units_sold").fill_null(0.0),
        name=pl.coalesce(*name, pl.col("product_id")),
    )
    return products.sort("product_id"), aside, findings


def _odd(products: pl.DataFrame) -> list[Finding]:
    """What the products' ids and names give away."""
    findings = []
    if "name" in products.columns:
        differing = products.filter(pl.col("name") != pl.col("_other_name"))
        if differing.height:
            rows = differing.sort("product_id").head(EXAMPLES)
            findings.append(
                Finding("names_differ", "told", "Products whose lines have several names.",
                        products=differing.height,
                        examples=tuple(rows.select("product_id", "name", other=pl.col(
                            "_other_name")).iter_rows(named=True)))
            )  # fmt: skip
    folded = pl.col("product_id").str.to_lowercase()
    variants = products.filter(folded.len().over(folded) > 1)
    if variants.height:
        rows = variants.sort(folded, "product_id").head(2 * EXAMPLES)
        findings.append(
            Finding("case_variants", "told", "Ids that differ only in their case; each is a "
                    "product of its own.", products=variants.height,
                    examples=tuple(rows.select("product_id", "units_sold", "net_revenue")
                                   .iter_rows(named=True)))
        )  # fmt: skip
    return findings


def _with_catalog(products: pl.DataFrame, catalog: Any) -> tuple[pl.DataFrame, list[Finding]]:
    known = collected(opened(catalog, None, COLUMNS))
    known = known.drop("units_sold", "net_revenue", strict=False)
    known = known.with_columns(pl.col("product_id").cast(pl.String).str.strip_chars())
    for name in known.columns:
        if COLUMN[name].kind == "number" and known[name].dtype == pl.String:
            known = known.with_columns(pl.col(name).cast(pl.Float64))
    if twice := known.filter(pl.col("product_id").is_duplicated())["product_id"].to_list():
        raise InputError(f"The catalogue has product {excerpt(twice[0])} more than once.")
    both = [n for n in known.columns if n in products.columns and n != "product_id"]
    joined = products.join(known, on="product_id", how="full", coalesce=True, suffix=" known")
    # The catalogue's word counts before what the lines say.
    joined = joined.with_columns(
        *(pl.coalesce(pl.col(f"{n} known"), pl.col(n)).alias(n) for n in both)
    ).drop(f"{n} known" for n in both)
    unknown = products.join(known, on="product_id", how="anti").sort("product_id")
    findings = []
    if unknown.height:
        examples = unknown.head(EXAMPLES).select("product_id", "net_revenue")
        findings.append(
            Finding("not_in_catalogue", "counted", "Products sold that the catalogue does not "
                    "have.", products=unknown.height,
                    examples=tuple(examples.iter_rows(named=True)))
        )  # fmt: skip
    return joined, findings


def _with_stock(products: pl.DataFrame, stock: Any) -> pl.DataFrame:
    held = collected(opened(stock, None, COLUMNS)).select(
        pl.col("product_id").cast(pl.String).str.strip_chars(), pl.col("stock").cast(pl.Float64)
    )
    held = held.group_by("product_id").agg(pl.col("stock").sum())
    return products.drop("stock", strict=False).join(held, on="product_id", how="left")
