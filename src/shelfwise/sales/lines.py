"""from_sales(): order lines opened, checked, and counted into products by the rules."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.cells import CONTROL, Rejection, complaint, refuse_currencies
from shelfwise.columns import COLUMN, COLUMNS, LINES, Column, resolve
from shelfwise.engines import files, frames
from shelfwise.errors import InputError, Problem, RejectedRowsError, excerpt
from shelfwise.pipeline.aggregate import aggregate, marked, marks_of, usual_names, valued
from shelfwise.pipeline.check import explain, is_bad, number_of, refuse_kinds
from shelfwise.pipeline.dates import Order, days
from shelfwise.quality import EXAMPLES, Finding, Quality
from shelfwise.rules import Mark, Rules

LINE = {column.name: column for column in LINES}
UNREADABLE_KEPT = 1_000
MAX_REJECTED = 0.01
DOUBTFUL = 0.25
"""A default that leaves out more lines than this share is asked about, not believed."""

Day = dt.date | str
Period = tuple[Day | None, Day | None] | None


@dataclass(frozen=True, slots=True)
class Sold:
    """Products counted from order lines; `analyze` takes it like a frame.

    `products` has a row for each product that can be scored, and for each one of the
    catalogue that was never sold. `set_aside` has those that were sold but cannot be
    scored (product_id, units_sold, net_revenue, reason); `quality` says what the rules
    touched; `period` is the first and last day.
    """

    products: pl.DataFrame
    quality: Quality
    period: tuple[dt.date, dt.date]
    set_aside: pl.DataFrame


def from_sales(
    lines: Any,
    *,
    catalog: Any = None,
    stock: Any = None,
    rules: Rules | None = None,
    period: Period = None,
    columns: Mapping[str, str] | None = None,
    dates: Order | None = None,
    max_rejected: float = MAX_REJECTED,
) -> Sold:
    """Count order lines into the products that `analyze` scores.

    Units and revenue are net of returns and credit notes. A product's price is its net
    revenue over its net units, or the catalogue's where it was never sold.

    Args:
        lines: A frame, a list of dicts, or the path of a file, a folder, or a pattern of
            files of one kind. One row an order line: product_id, date, quantity, and
            unit_price or line_total; see `shelfwise.columns.LINES`.
        catalog: Products with their name, and price, unit_cost, category and so on.
        stock: product_id and stock; several rows of a product add up.
        rules: What counts; `Rules()` by default, `Rules.none()` counts every line.
        period: (first day, last day), either of them None; lines of other days are
            left out.
        columns: Your names for ours, {"Artikel": "product_id"}.
        dates: "day-first" or "month-first", where the dates themselves do not tell.
        max_rejected: The share of lines that may be unreadable before all is refused.

    Raises:
        InputError: Columns are missing, or dates cannot be told apart.
        RejectedRowsError: More lines than `max_rejected` cannot be read.

    Example:
        >>> sold = from_sales([
        ...     {"product_id": 7, "date": "2026-01-05", "quantity": 3, "unit_price": 20.0},
        ...     {"product_id": 7, "date": "2026-01-09", "quantity": -1, "unit_price": 20.0},
        ... ], catalog=[{"product_id": 7, "name": "Lamp"}])
        >>> sold.products.select("product_id", "units_sold", "net_revenue", "price").row(0)
        ('7', 2.0, 40.0, 20.0)
        >>> sold.quality["returned"].lines
        1
    """
    rules = rules or Rules()
    frame = _opened(lines, columns, LINES)
    names = frame.collect_schema().names()
    contract = _contract(names)
    frame = days(frame, "date", dates)
    frame, total, unreadable, problems = _readable(frame, contract)
    _refuse_above(max_rejected, total, unreadable, problems)
    marks = [*_outside(period), *marks_of(names, rules)]
    of_lines = [mark for mark in marks if mark.of == "line"]
    frame = marked(valued(frame), rules, of_lines)
    counted = _collect(aggregate(frame, of_lines, ["product_id"]))
    counted, more, unnamed = _identified(counted)
    unreadable, problems = unreadable + more, [*problems, *unnamed]
    _refuse_above(max_rejected, total, unreadable, problems)
    for mark in marks:
        if mark.of == "product":
            counted = _left_out(counted, mark, rules, of_lines)
    if "currency" in names:
        refuse_currencies({*counted["currency"], *counted["_other_currency"]})
    quality = _quality(frame, counted, marks, total, unreadable, problems)
    _doubt(quality, rules)
    if quality.first is None or quality.last is None:
        raise InputError("No line counts.", f"All {total:,} were left out:\n{quality}")
    counted = _named(frame, counted)
    products, set_aside, findings = _products(counted, catalog, stock)
    first, last = _period(period)
    first = first or dt.date.fromisoformat(quality.first)
    last = last or dt.date.fromisoformat(quality.last)
    return Sold(
        products,
        replace(quality, findings=(*quality.findings, *findings)),
        (first, last),
        set_aside,
    )


def _opened(source: Any, mapping: Mapping[str, str] | None, contract: Sequence[Column]) -> Any:
    """The source as a Narwhals frame with our names, and our columns only."""
    if isinstance(source, str | Path):
        source = files.open_many(source)
    elif isinstance(source, Sequence):
        if not source:
            raise InputError("There are no rows.", "Give at least one.")
        source = pl.DataFrame(source, infer_schema_length=None, strict=False)
    frame = frames.open_frame(source, None).frame
    theirs = frame.collect_schema().names()
    renaming, _ = resolve(theirs, mapping, tuple(contract))
    known = {column.name for column in contract}
    names = {t: renaming.get(t, t) for t in theirs if renaming.get(t, t) in known}
    opened = frame.select(*(nw.col(theirs).alias(ours) for theirs, ours in names.items()))
    if isinstance(opened, nw.DataFrame):
        # Products come back in Polars, so rows of pandas and PyArrow are counted there too.
        return nw.from_native(frames.plain_text(opened).to_polars())
    return opened


def _contract(names: Sequence[str]) -> dict[str, Column]:
    """The columns of the lines, with the price required where there is no total."""
    absent = [column.name for column in LINES if column.required and column.name not in names]
    if absent or not {"unit_price", "line_total"} & set(names):
        missing = ", ".join([*absent, *([] if absent else ["unit_price (or line_total)"])])
        raise InputError(
            f"Missing column: {missing}.",
            "Rename yours, or map it: columns={'theirs': 'ours'}, --map theirs=ours.",
        )
    # Texts are judged once a product, not once a line: see `_identified`.
    judged = ("number", "date", "id")
    wanted = {name: LINE[name] for name in LINE if name in names and LINE[name].kind in judged}
    alone = {"unit_price", "line_total"} & set(names)
    if len(alone) == 1:
        (price,) = alone
        wanted[price] = replace(wanted[price], required=True)
    return wanted


def _readable(frame: Any, contract: dict[str, Column]) -> tuple[Any, int, int, list[Rejection]]:
    """The lines that keep the contract, with numbers as floats; and what the others lack."""
    if isinstance(frame, nw.DataFrame):
        frame = frame.with_row_index("_row")
    schema = frame.collect_schema()
    refuse_kinds(contract, schema)
    bad = nw.lit(False)
    for name, column in contract.items():
        absent = nw.col(name).is_null()
        bad = bad | (absent if column.kind == "id" else is_bad(column, schema[name]))
    if {"unit_price", "line_total"} <= contract.keys():
        prices = [number_of(n, schema[n]).is_null() for n in ("unit_price", "line_total")]
        bad = bad | (prices[0] & prices[1])
    frame = frame.with_columns(_bad=bad)
    ones = nw.when(nw.col("_bad")).then(1).otherwise(0).sum()
    ((total, unreadable),) = _collect(frame.select(n=nw.len(), bad=ones)).rows()
    if not total:
        raise InputError("There are no order lines.", "Give at least one.")
    problems: list[Rejection] = []
    if unreadable:
        problems = explain(frame, contract, schema, most=UNREADABLE_KEPT)
        problems = problems or [Rejection(None, "unit_price", None, "no price and no total")]
        frame = frame.filter(~nw.col("_bad"))
    numbers = {
        name: number_of(name, schema[name])
        for name, column in contract.items()
        if column.kind == "number"
    }
    frame = frame.with_columns(**numbers).drop("_bad")
    return frame, int(total), int(unreadable or 0), problems


def _refuse_above(share: float, total: int, unreadable: int, problems: Sequence[Rejection]) -> None:
    """RejectedRowsError where more than a share of the lines cannot be read, or all."""
    if unreadable and (unreadable == total or unreadable > share * total):
        raise RejectedRowsError(
            f"{unreadable:,} of {total:,} lines cannot be read: {unreadable / total:.2%}, more "
            f"than the {share:.2%} allowed. First: {problems[0].reason}.",
            "Mend them, or allow more with max_rejected (--max-rejected).",
            tuple(Problem(p.pointer, p.reason) for p in problems[:50]),
            unreadable,
        )


def _doubt(quality: Quality, rules: Rules) -> None:
    """InputError where a default takes a good part of the lines for something else.

    Order numbers such as A1001 may be bookkeeping in one shop and all orders of another.
    """
    for found in quality.findings:
        setting = {"adjustment": "adjustments", "not_a_product": "not_products"}.get(found.name)
        default = setting is not None and getattr(rules, setting) == getattr(Rules(), setting)
        if setting and default and found.lines > DOUBTFUL * quality.lines:
            raise InputError(
                f"{found.lines / quality.lines:.0%} of the lines would be left out as "
                f"{found.name.replace('_', ' ')}, such as {found.examples[0]}.",
                f"Say what they are: set the rule {setting} (Rules({setting}=...), --rules).",
            )


def _identified(counted: pl.DataFrame) -> tuple[pl.DataFrame, int, list[Rejection]]:
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


def _left_out(
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


def _outside(period: Period) -> list[Mark]:
    first, last = _period(period)
    if first is None and last is None:
        return []
    before = nw.col("date") < first if first else nw.lit(False)
    after = nw.col("date") > last if last else nw.lit(False)
    when = " or ".join(
        [*([f"before {first}"] if first else []), *([f"after {last}"] if last else [])]
    )
    return [
        Mark("outside_the_period", "left out", f"Sold {when}.", frozenset({"date"}),
             lambda _: before | after)
    ]  # fmt: skip


def _period(period: Period) -> tuple[dt.date | None, dt.date | None]:
    try:
        first, last = (
            day if day is None or type(day) is dt.date else dt.date.fromisoformat(day)  # type: ignore[arg-type]
            for day in period or (None, None)
        )
    except (ValueError, TypeError) as error:
        raise InputError(
            f"The period {excerpt(period)} cannot be read.", 'Give ("2026-01-01", "2026-03-31").'
        ) from error
    if first and last and first > last:
        raise InputError(f"The period ends on {last}, before it begins on {first}.")
    return first, last


def _quality(
    frame: Any,
    counted: pl.DataFrame,
    marks: Sequence[Mark],
    total: int,
    unreadable: int,
    problems: Sequence[Rejection],
) -> Quality:
    """The report from the sums of the products, and some lines of each kind to look at."""
    sums = {
        name: counted[name].sum() for name in counted.columns if counted[name].dtype.is_numeric()
    }
    findings = []
    if unreadable:
        examples = tuple(
            {"line": p.row, "column": p.column, "value": p.value, "reason": p.reason}
            for p in problems[:EXAMPLES]
        )
        findings.append(
            Finding("unreadable", "left out", "Lines that break the contract.", unreadable,
                    examples=examples)
        )  # fmt: skip
    shown = [name for name in LINE if name in frame.collect_schema().names()]
    for mark in marks:
        lines = int(sums[f"_lines_{mark.name}"])
        if lines:
            touched = counted.filter(pl.col(f"_lines_{mark.name}") > 0)
            if mark.of == "line":
                one_of = nw.col(f"_is_{mark.name}") == 1
            else:
                ids = touched["product_id"].head(EXAMPLES).to_list()
                text = nw.col("product_id").cast(nw.String).str.strip_chars()
                one_of = text.is_in(ids) & (nw.col("_counts") == 1)
            some = frame.filter(one_of).select(*shown).head(EXAMPLES)
            findings.append(
                Finding(
                    mark.name,
                    mark.action,
                    mark.meaning,
                    lines,
                    products=touched.height,
                    units=float(sums[f"_units_{mark.name}"]),
                    revenue=float(sums[f"_revenue_{mark.name}"]),
                    examples=tuple(map(_plain, _collect(some).rows(named=True))),
                )
            )
    in_all = int(sums["lines"])
    first, last = counted["first_sale"].min(), counted["last_sale"].max()
    return Quality(
        lines=total,
        counted=in_all,
        left_out=total - unreadable - in_all,
        unreadable=unreadable,
        first=None if first is None else str(first),
        last=None if last is None else str(last),
        net_units=float(sums["units_sold"]),
        net_revenue=float(sums["net_revenue"]),
        gross_units=float(sums["gross_units"]),
        gross_revenue=float(sums["gross_revenue"]),
        findings=tuple(findings),
    )


def _named(frame: Any, counted: pl.DataFrame) -> pl.DataFrame:
    """Products of several names with the one that most of their sales have."""
    if "name" not in counted.columns:
        return counted
    several = counted.filter(pl.col("name") != pl.col("_other_name")).select("product_id")
    if several.height == 0:
        return counted
    ids = several["product_id"].to_list()
    wanted = frame.filter(nw.col("product_id").cast(nw.String).is_in(ids))
    usual = _collect(usual_names(wanted)).with_columns(pl.col("product_id").cast(pl.String))
    usual = usual.sort("n", "name", descending=[True, False]).unique(
        "product_id", keep="first", maintain_order=True
    )
    joined = counted.join(usual.select("product_id", usual="name"), on="product_id", how="left")
    usually = pl.coalesce("usual", "name")
    other = pl.when(usually == pl.col("_other_name")).then(pl.col("name"))
    named = joined.with_columns(name=usually, _other_name=other.otherwise(pl.col("_other_name")))
    return named.drop("usual")


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, dt.date) else v for k, v in line.items()}


def _products(
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
    known = _collect(_opened(catalog, None, COLUMNS))
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
    held = _collect(_opened(stock, None, COLUMNS)).select(
        pl.col("product_id").cast(pl.String).str.strip_chars(), pl.col("stock").cast(pl.Float64)
    )
    held = held.group_by("product_id").agg(pl.col("stock").sum())
    return products.drop("stock", strict=False).join(held, on="product_id", how="left")


def _collect(frame: Any) -> pl.DataFrame:
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect(backend="polars")
    native = frame.to_native()
    return native if isinstance(native, pl.DataFrame) else frame.to_polars()
