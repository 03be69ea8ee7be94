"""analyze(): open the products, fit or apply a model, hand over the Analysis."""

import datetime as dt
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, get_args

from shelfwise.analysis import Analysis
from shelfwise.cells import OnError, Rejection
from shelfwise.engines import files
from shelfwise.engines.failures import failures, stamp, unchanged
from shelfwise.engines.frames import Engine
from shelfwise.errors import InputError, TooManyRowsError, excerpt
from shelfwise.model import Model, Tiering
from shelfwise.notices import about_lines
from shelfwise.pipeline import apply, fit
from shelfwise.pipeline.features import computed, features
from shelfwise.pipeline.tier import within_groups
from shelfwise.profile import Profile, load_profile
from shelfwise.sales import Sold
from shelfwise.settings import load_settings
from shelfwise.source import Source, open_source

Period = int | float | tuple[dt.date | str, dt.date | str]


def analyze(
    source: Any,
    *,
    profile: str | Path | Profile = "standard",
    tiering: Tiering = "quota",
    model: Model | str | PathLike[str] | None = None,
    group_by: str | None = None,
    period: Period | None = None,
    columns: Mapping[str, str] | None = None,
    on_error: OnError = "reject",
    engine: Engine | None = None,
    max_rows: int | None = None,
) -> Analysis:
    """Score products 0 to 100, tier them, cluster them, and say why.

    Args:
        source: A pandas, Polars, PyArrow, DuckDB, Ibis or Spark frame, the path of a CSV,
            JSON, NDJSON, Parquet, Arrow or XLSX file, or a list of dicts. One row a product;
            `shelfwise columns` lists the columns. Or what `from_sales` counted.
        profile: How to score: "standard", "robust", "margin", a Profile, or the path of
            a TOML file.
        tiering: "quota" (best fifth High, worst fifth Low) or "kmeans" (the clusters).
        model: A fitted model or its file; then nothing is fitted, and the model's own
            profile, ranges, cuts and tiering count.
        group_by: A column; adds score, rank and tier within each of its values.
        period: Days that the sales cover, or (first day, last day); adds units_per_day.
        columns: Your column names for ours, {"Artikel": "product_id"}.
        on_error: For rows that break the contract: "reject" raises and lists them,
            "skip" sets them aside, "repair" first mends what is certainly meant.
        engine: "duckdb" keeps data and result there, for what memory does not hold;
            "spark" takes them to Spark, where a text may also name a table; "polars"
            brings what is on an engine into memory.
        max_rows: More products are refused, before any is scored.

    Raises:
        InputError: The data is wrong; RejectedRowsError lists the rows, TooManyRowsError
            says that there are more than `max_rows`.
        ProfileError, ModelError, NotFoundError: The profile, model or file is.
        EngineError: DuckDB or Spark could not finish.

    Example:
        >>> analysis = analyze([
        ...     {"product_id": 1, "name": "Lamp", "price": 199.99, "units_sold": 150, "stock": 50},
        ...     {"product_id": 2, "name": "Mug", "price": 9.5, "units_sold": 40, "stock": 160},
        ... ])
        >>> analysis.products["revenue"].to_list()
        [29998.5, 380.0]
        >>> analysis.summary["top_product"]
        'Lamp'
    """
    _one_of("tiering", tiering, get_args(Tiering))
    _one_of("on_error", on_error, get_args(OnError))
    if engine is not None:
        _one_of("engine", engine, get_args(Engine))
    if model is not None and not isinstance(model, Model):
        model = Model.load(model)
    chosen = model.profile if model else load_profile(profile)
    sold = source if isinstance(source, Sold) else None
    if sold:
        source, period = sold.products, period or sold.period
    with failures(source), unchanged(source):
        before = stamp(source)
        opened = open_source(
            source, chosen, mapping=columns, on_error=on_error, engine=engine, group_by=group_by
        )
        if max_rows is not None and opened.table.height > max_rows:
            raise TooManyRowsError(opened.table.height, max_rows)
        if engine == "spark" or (engine and files.holds_parquet(source)):
            opened.read_from = (source, before)
        if sold:
            opened.sold = sold
            aside = sold.set_aside.select("product_id", "reason").rows()
            opened.rejected += [Rejection(None, "product_id", *row) for row in aside]
            opened.rejected_rows += sold.not_scored
            opened.notices += about_lines(sold.quality, sold.not_scored)
        return analyze_source(
            opened, chosen, tiering=tiering, model=model, group_by=group_by, period=period
        )


def analyze_source(
    source: Source,
    profile: Profile,
    *,
    tiering: Tiering = "quota",
    model: Model | None = None,
    group_by: str | None = None,
    period: Period | None = None,
    coreset_rows: int | None = None,
) -> Analysis:
    """Score a source that is open and checked; what `analyze` and the service share."""
    table = features(source.table, profile, _days(period))
    fitted = model
    if fitted is None:
        metrics = computed(profile, set(source.table.columns))
        # A fit passes over the metrics a dozen times: they alone are kept for it.
        narrow = table.checkpoint([metric.name for metric in metrics])
        fitted = fit(narrow, profile, tiering, coreset_rows or load_settings().coreset_rows)
    table = apply(table, fitted)
    if group_by:
        shares = (profile.high_share, profile.low_share)
        table = within_groups(table, fitted.scales, shares)
    return Analysis(source, table, fitted, group_by, fitted=model is None)


def _one_of(what: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{what} is {excerpt(value)}.", f"It is one of {', '.join(known)}.")


def _days(period: Period | None) -> float | None:
    if period is None:
        return None
    if isinstance(period, tuple):
        try:
            first, last = (
                day if type(day) is dt.date else dt.date.fromisoformat(day)  # type: ignore[arg-type]
                for day in period
            )
        except (ValueError, TypeError) as error:
            raise InputError(
                f"The period {excerpt(period)} cannot be read.",
                'Give days, or ("2026-01-01", "2026-03-31").',
            ) from error
        days: int | float = (last - first).days + 1
    else:
        days = period
    if isinstance(days, bool) or not isinstance(days, int | float) or not 1 <= days <= 36_600:
        raise InputError(f"The period has {excerpt(days)} days.", "It is 1 to 36,600 days long.")
    return float(days)
