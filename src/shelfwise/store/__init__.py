"""Store: what is kept between analyses, in SQL and Parquet."""

from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl

from shelfwise.errors import InputError, MissingExtraError, excerpt

try:
    from shelfwise.store.database import Database
    from shelfwise.store.deliveries import Deliveries, Delivery
    from shelfwise.store.derived import Derived, DerivedTables
    from shelfwise.store.idempotency import Idempotency
    from shelfwise.store.keys import Audit, Keys
    from shelfwise.store.models import Models, Version
    from shelfwise.store.opinions import ANSWER, Decision, Decisions, Override, Overrides
    from shelfwise.store.published import Publication, Published
    from shelfwise.store.results import Results
    from shelfwise.store.run import Run
    from shelfwise.store.runs import Runs
    from shelfwise.store.uploads import Uploads
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"Keeping runs needs {error.name}.", "pip install 'shelfwise[serve]'"
    ) from error
from shelfwise.drift import MetricDrift, Training, drift
from shelfwise.insights.decisions import Section, Withheld
from shelfwise.insights.evidence import days_of
from shelfwise.insights.lists import merchant_labels
from shelfwise.insights.sections import QUESTIONS
from shelfwise.settings import Settings, load_settings

COMPARED = 50
"""How many runs before one are looked at for the most alike."""

__all__ = [
    "Decision", "Delivery", "Derived", "Override", "Publication", "Run", "Runs", "Store", "Version",
]  # fmt: skip


class Store:
    """Runs, models and what people say, kept in the data folder or a PostgreSQL database.

    Args:
        settings: Where; else the `SHELFWISE_*` variables. `given` settings win over them.

    Raises:
        SettingError: The URL names no database that Shelfwise keeps runs in.
        StoreError: The database does not answer, or a newer program has written it.

    Example:
        >>> import shelfwise, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = shelfwise.Store(data_dir=folder.name)
        >>> run = store.runs.save(shelfwise.analyze([
        ...     {"product_id": 1, "name": "Lamp", "price": 20.0, "units_sold": 9, "stock": 1},
        ...     {"product_id": 2, "name": "Mug", "price": 5.0, "units_sold": 2, "stock": 8},
        ... ]))
        >>> store.runs.get("latest").summary["top_product"]
        'Lamp'
        >>> store.runs.products(run.id).collect()["rank"].to_list()
        [1, 2]
        >>> store.close(); folder.cleanup()
    """

    def __init__(self, settings: Settings | None = None, **given: Any) -> None:
        settings = settings or load_settings(**given)
        folder = Path(settings.data_dir).absolute()
        self.database = Database(settings.database_url or folder / "shelfwise.db")
        try:
            self.database.migrate()
        except BaseException:
            self.database.close()
            raise
        results = Results(folder / "results")
        self.runs = Runs(self.database, results, settings.keep_runs, settings.keep_days)
        self.derived = DerivedTables(self.database, results, self.runs)
        self.models = Models(self.database)
        self.overrides = Overrides(self.database, self.runs)
        self.decisions = Decisions(self.database, self.runs)
        self.published = Published(self.database, self.runs, self.derived, self.overrides)
        self.deliveries = Deliveries(self.database)
        self.keys = Keys(self.database)
        self.uploads = Uploads(self.database, folder / "uploads")
        self.audit = Audit(self.database)
        self.idempotency = Idempotency(self.database, settings.request_seconds * 2)

    def train(
        self, name: str, run_id: str, alias: str | None = None, request_id: str | None = None
    ) -> Version:
        """Keep the model that a run was scored with, and how its products were spread."""
        run = self.runs.get(run_id)
        training = Training.of(self.runs.products(run.id), run.model)
        return self.models.add(
            name, run.model, run_id=run.id, training=training, alias=alias, request_id=request_id
        )

    def drift(self, run_id: str, model: str) -> list[MetricDrift]:
        """How far the products of a run have moved from those that a model was fitted on."""
        version = self.models.get(model)
        return drift(self.runs.products(run_id), version.model, version.training)

    def section(self, run_id: str, name: str) -> Section:
        """Decisions made of a run, with what people have answered to them.

        Raises InputError for a name that is no section, NotFoundError where nobody made it.
        """
        if name not in QUESTIONS:
            raise InputError(
                f"There is no section {excerpt(name)}.", f"There are {', '.join(QUESTIONS)}."
            )
        run = self.runs.get(run_id)
        made = self.derived.get(run, name)  # type: ignore[arg-type]  # Each is a name.
        rows, columns = self.answered(run, made).collect(), QUESTIONS[name].columns
        about = made.about
        return Section(
            name, columns + (ANSWER if "verdict" in rows.columns else ()), rows,
            tuple(Withheld(**one) for one in about["withheld"]),
            tuple(about["assumptions"]), about["summary"],
        )  # fmt: skip

    def labels(self, run_id: str) -> pl.DataFrame:
        """Custom labels for Google of a run's marketing, and of its campaign if it was made.

        Raises NotFoundError where nobody made marketing of it.
        """
        lists = self.section(run_id, "marketing")
        made = {one.name for one in self.derived.all(run_id)}
        offers = self.section(run_id, "campaign") if "campaign" in made else None
        return merchant_labels(lists, offers)

    def answered(self, run: Run, made: Derived) -> pl.LazyFrame:
        """The rows of a table; where it proposes actions, with what people have answered."""
        rows = made.scan()
        if not {"product_id", "action"} <= set(rows.collect_schema()):
            return rows
        return self.decisions.answered(rows, run.as_of)

    def comparable(self, run: Run) -> list[Run]:
        """The runs before one that it can be compared with, the most alike first.

        They have its profile, and are of order lines if it is. First come those whose period
        is as long, of these those of the same source, of these the newest.
        """
        older, _ = self.runs.newest(COMPARED, after=run.id)
        alike = [one for one in older if one.profile == run.profile
                 and (one.quality is None) == (run.quality is None)]  # fmt: skip
        if not alike:
            return []
        days = self.days_of(run)
        return sorted(alike, key=lambda one: (self.days_of(one) == days,
                                              one.source == run.source, one.id),
                      reverse=True)  # fmt: skip

    def days_of(self, run: Run) -> float | None:
        """The days that the sales of a run cover; None where it does not say."""
        products = self.runs.products(run)
        if "units_per_day" not in products.collect_schema().names():
            return None
        sold = products.filter(pl.col("units_per_day") > 0)
        return days_of(sold.select("units_sold", "units_per_day").head(1).collect())

    def close(self) -> None:
        """Close the connections to the database."""
        self.database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
