"""What became of a product: its score, rank and tier in each run, over all runs.

Each run leaves a slim file sorted by product. Eight files of about the same size are
merged into one, so that a hundred runs are a dozen files; in each of them a product's
rows stand together, and only the group of rows that may hold them is read.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shelfwise.engines import parquet
from shelfwise.store.database import Database
from shelfwise.store.results import Results
from shelfwise.store.schema import artifacts, runs

MERGED = 8
"""So many files of a size become one of the next."""


class History:
    """The history of the products of a store."""

    def __init__(self, database: Database, results: Results) -> None:
        self._database = database
        self._results = results

    def of(self, product_id: str, location: str | None = None) -> list[dict[str, Any]]:
        """A product in each run that has it, oldest first: revenue, score, rank, tier."""
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
        """Write the slim file of a run, and merge files where there are many of a size."""
        rows: list[int] = []

        def write(path: Path) -> int:
            rows.append(parquet.write_history(results, run_id, path))
            return rows[0]

        published = self._results.publish(write)
        with self._database.write() as connection:
            self._database.lock(connection)
            if self._results.name(connection, published):
                chosen = runs.update().where(runs.c.id == run_id)
                connection.execute(chosen.values(history=published.sha256))
        self.merge()

    def merge(self) -> int:
        """Merge files of the same size, while there are enough; how many merges there were."""
        merges = 0
        while files := self._mergeable():
            paths = [self._results.must_exist(name) for name in files]
            with self._database.read() as connection:
                alive = set(connection.scalars(sa.select(runs.c.id)))

            def write(path: Path, paths: Sequence[Path] = paths, alive: set[str] = alive) -> int:
                return parquet.merge_history(paths, alive, path)

            merged = self._results.publish(write)
            with self._database.write() as connection:
                self._database.lock(connection)
                if not self._results.name(connection, merged):
                    return merges
                replaced = runs.update().where(runs.c.history.in_(files))
                connection.execute(replaced.values(history=merged.sha256))
                still = sa.select(runs.c.id).where(runs.c.history.in_(files))
                if connection.execute(still).first() is None:
                    connection.execute(artifacts.delete().where(artifacts.c.sha256.in_(files)))
            self._results.sweep(self._database, files)
            merges += 1
        return merges

    def _mergeable(self) -> list[str]:
        """Files of one size, eight or more of them; none where no size has so many."""
        with self._database.read() as connection:
            wanted = sa.select(artifacts.c.sha256, artifacts.c.rows).where(
                artifacts.c.sha256.in_(sa.select(runs.c.history))
            )
            found = connection.execute(wanted).all()
        sizes: dict[int, list[str]] = {}
        for name, rows in found:
            sizes.setdefault(int(math.log(max(rows, 1), MERGED)), []).append(name)
        return next((names for _, names in sorted(sizes.items()) if len(names) >= MERGED), [])
