"""What became of a product: its score, rank and tier in each run, over all runs.

Each run leaves a slim file sorted by product. Four files of about the same size are
merged into one, so that a hundred runs are a handful of files; in each of them a product's
rows stand together, and only the group of rows that may hold them is read.
"""

import logging
import math
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shelfwise.engines import parquet
from shelfwise.errors import OutputError, StoreError
from shelfwise.store.database import Database
from shelfwise.store.results import Artifact, Results
from shelfwise.store.schema import artifacts, runs

log = logging.getLogger("shelfwise.store")
MERGED = 4
"""So many files of a size become one of the next."""


class History:
    """The history of the products of a store."""

    def __init__(self, database: Database, results: Results) -> None:
        self._database = database
        self._results = results

    def of(self, product_id: str, location: str | None = None) -> list[dict[str, Any]]:
        """A product in each run that has it, oldest first: revenue, score, rank, tier."""
        for _ in range(3):
            try:
                return self._of(product_id, location)
            except (FileNotFoundError, StoreError):
                continue  # Another process has merged or deleted meanwhile: look again.
        return self._of(product_id, location)

    def _of(self, product_id: str, location: str | None) -> list[dict[str, Any]]:
        columns = (runs.c.id, runs.c.as_of, runs.c.label, runs.c.products, runs.c.results,
                   runs.c.history)  # fmt: skip
        with self._database.read() as connection:
            found = {row["id"]: row for row in connection.execute(sa.select(*columns)).mappings()}
        files = sorted({row["history"] for row in found.values() if row["history"]})
        known = []
        if files:
            paths = [self._results.must_exist(name) for name in files]
            known = parquet.rows_of_product(paths, product_id, location).to_dicts()
        # Runs of an older version, and those whose save was cut off just before its end.
        for row in found.values():
            if not row["history"]:
                path = self._results.must_exist(row["results"])
                rows = parquet.rows_in_results(path, row["id"], product_id, location)
                known += rows.to_dicts()
        known = [row for row in known if row["run_id"] in found]
        shown = [
            row
            | {
                "as_of": found[row["run_id"]]["as_of"].isoformat(),
                "label": found[row["run_id"]]["label"],
                "products": found[row["run_id"]]["products"],
            }
            for row in known
        ]
        return sorted(shown, key=lambda row: (row["as_of"], row["run_id"], row["location"] or ""))

    def add(self, run_id: str, results: Path) -> None:
        """Write the slim file of a run, and merge files where there are many of a size.

        The run is kept already: what fails here is told to the log, and read from its results.
        """
        try:
            self._add(run_id, results)
            self.merge()
        except (OutputError, StoreError, FileNotFoundError) as error:
            log.warning("the history of run %s was not written: %s", run_id, error)

    def _add(self, run_id: str, results: Path) -> None:
        def write(path: Path) -> int:
            return parquet.write_history(results, run_id, path)

        published = self._results.publish(write)
        with self._database.write() as connection:
            self._database.lock(connection)
            if self._results.name(connection, published):
                chosen = runs.update().where(runs.c.id == run_id)
                connection.execute(chosen.values(history=published.sha256))

    def merge(self) -> int:
        """Merge files of the same size, while there are enough; how many merges there were."""
        merges = 0
        while files := self._mergeable():
            with self._database.read() as connection:
                alive = set(connection.scalars(sa.select(runs.c.id)))

            def write(path: Path, files: list[str] = files, alive: set[str] = alive) -> int:
                paths = [self._results.must_exist(name) for name in files]
                return parquet.merge_history(paths, alive, path)

            try:
                merged = self._results.publish(write)
            except (OutputError, StoreError):
                if all(self._results.path(name).exists() for name in files):
                    raise
                return merges  # Another process was quicker, and has swept them.
            if not self._replace(files, merged):
                return merges
            merges += 1
        return merges

    def _replace(self, files: list[str], merged: Artifact) -> bool:
        """Let the runs of some files point at the merged one; not if another did so before."""
        with self._database.write() as connection:
            self._database.lock(connection)
            there = sa.select(runs.c.history).where(runs.c.history.in_(files)).distinct()
            # Rows of a file that went into another one already would be there twice.
            if len(connection.scalars(there).all()) < len(files):
                return False
            if not self._results.name(connection, merged):
                return False
            replaced = runs.update().where(runs.c.history.in_(files))
            connection.execute(replaced.values(history=merged.sha256))
            # Two files may be the same to the byte; then the merged one is none of them.
            gone = [name for name in files if name != merged.sha256]
            connection.execute(artifacts.delete().where(artifacts.c.sha256.in_(gone)))
        self._results.sweep(self._database, gone)
        return True

    def _mergeable(self) -> list[str]:
        """Files of one size, four or more of them; none where no size has so many."""
        with self._database.read() as connection:
            wanted = sa.select(artifacts.c.sha256, artifacts.c.rows).where(
                artifacts.c.sha256.in_(sa.select(runs.c.history).where(runs.c.history.isnot(None)))
            )
            found = connection.execute(wanted).all()
        sizes: dict[int, list[str]] = {}
        for name, rows in found:
            sizes.setdefault(int(math.log(max(rows, 1), MERGED)), []).append(name)
        return next((names for _, names in sorted(sizes.items()) if len(names) >= MERGED), [])
