"""Runs are kept whole, come back as they were, and leave nothing behind."""

import datetime as dt
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
import pytest
import sqlalchemy as sa

import shelfwise
from kinds import Engine, shop
from shelfwise.errors import InputError, NotFoundError, OutputError, StoreError
from shelfwise.settings import Settings
from shelfwise.store import Store
from shelfwise.store.schema import runs


def files(store: Store) -> set[str]:
    """What stands in the folder of results, without the history of products."""
    if not store.runs.newest()[0]:
        return set()
    with store.database.read() as connection:
        history = set(connection.scalars(sa.select(runs.c.history)))
    folder = store.runs.products_file().parent
    return {path.name for path in folder.iterdir() if path.stem not in history}


def test_a_run_comes_back_as_it_was(store: Store, analysis: shelfwise.Analysis) -> None:
    kept = store.runs.save(
        analysis,
        source="postgresql://me:secret@host/db/t",
        label="First",
        as_of=dt.date(2026, 3, 1),
    )
    found = store.runs.get(kept.id)
    assert found == kept
    assert found.summary == analysis.summary
    assert list(found.warnings) == analysis.warnings
    assert found.model == analysis.model
    assert found.as_of == dt.date(2026, 3, 1)
    assert found.label == "First"
    assert found.source == "postgresql://***@host/db/t"
    assert abs((dt.datetime.now(dt.UTC) - found.created_at).total_seconds()) < 60
    assert store.runs.products(kept.id).collect().equals(analysis.products.sort("rank"))


def test_applying_a_kept_model_gives_the_same_scores(
    store: Store, analysis: shelfwise.Analysis
) -> None:
    kept = store.runs.save(analysis)
    again = shelfwise.analyze(shop(), model=store.runs.get(kept.id).model)
    assert again.products.equals(analysis.products)


def test_a_run_survives_a_restart(
    settings_of: Callable[..., Settings], analysis: shelfwise.Analysis
) -> None:
    with Store(settings_of()) as store:
        kept = store.runs.save(analysis)
    with Store(settings_of()) as store:
        assert store.runs.get("latest") == kept
        assert store.runs.products(kept.id).collect().height == 20


def test_every_kind_of_frame_is_kept_in_the_order_of_rank(frame: Engine, tmp_path: Path) -> None:
    analysis = shelfwise.analyze(frame(shop(500)))
    with Store(data_dir=tmp_path) as store:
        kept = store.runs.save(analysis)
        rows = store.runs.products(kept.id).collect()
    assert rows["rank"].to_list() == sorted(rows["rank"].to_list())
    assert rows.height == kept.products == 500
    expected = nw.from_native(shelfwise.analyze(shop(500)).products).to_polars().sort("rank")
    assert rows["product_id"].cast(pl.Int64).to_list() == expected["product_id"].to_list()


def test_rejected_rows_and_quality_are_kept(store: Store) -> None:
    rows = [*shop(), {"product_id": "x", "name": "Bad", "price": -1, "units_sold": 2, "stock": 3}]
    kept = store.runs.save(shelfwise.analyze(rows, on_error="skip"))
    assert store.runs.rejected(kept.id)["column"].to_list() == ["price"]
    assert kept.summary["skipped"] == 1
    lines = pl.DataFrame(
        {"product_id": ["a", "b", "a"], "date": ["2026-01-01", "2026-01-05", "2026-01-09"],
         "quantity": [2, 3, -1], "unit_price": [5.0, 4.0, 5.0], "order_id": [1, 2, 3]}
    )  # fmt: skip
    kept = store.runs.save(shelfwise.analyze(shelfwise.from_sales(lines)))
    assert kept.quality is not None
    assert kept.quality["lines"] == 3
    assert kept.as_of == dt.date(2026, 1, 9)
    assert store.runs.rejected(kept.id).columns == ["row", "column", "value", "reason"]


def test_runs_are_listed_newest_first_page_by_page(store: Store) -> None:
    kept = [store.runs.save(shelfwise.analyze(shop(5 + n))).id for n in range(5)]
    first, more = store.runs.newest(2)
    second, later = store.runs.newest(2, after=more)
    third, end = store.runs.newest(2, after=later)
    assert [run.id for run in (*first, *second, *third)] == kept[::-1]
    assert end is None
    assert store.runs.get("latest").id == kept[-1]


def test_what_is_not_there_is_said(store: Store) -> None:
    with pytest.raises(NotFoundError, match="No run is kept yet"):
        store.runs.get()
    with pytest.raises(NotFoundError, match="There is no run 'nothing'"):
        store.runs.get("nothing")
    with pytest.raises(NotFoundError):
        store.runs.delete("' OR 1=1--")


def test_deleting_a_run_removes_its_files_but_not_those_shared(
    store: Store, analysis: shelfwise.Analysis
) -> None:
    first, twin = store.runs.save(analysis), store.runs.save(analysis)
    other = store.runs.save(shelfwise.analyze(shop(9)))
    assert first.results == twin.results != other.results
    store.runs.delete(first.id)
    assert files(store) == {f"{twin.results}.parquet", f"{other.results}.parquet"}
    assert store.runs.products(twin.id).collect().height == 20
    store.runs.delete(twin.id)
    assert files(store) == {f"{other.results}.parquet"}


def test_a_pinned_run_cannot_be_deleted(store: Store, analysis: shelfwise.Analysis) -> None:
    kept = store.runs.save(analysis)
    assert store.runs.pin(kept.id).pinned
    with pytest.raises(InputError, match="is pinned"):
        store.runs.delete(kept.id)
    store.runs.pin(kept.id, False)
    store.runs.delete(kept.id)


def test_retention_keeps_the_newest_and_the_pinned(settings_of: Callable[..., Settings]) -> None:
    with Store(settings_of(keep_runs=2)) as store:
        pinned = store.runs.save(shelfwise.analyze(shop(5)))
        store.runs.pin(pinned.id)
        kept = [store.runs.save(shelfwise.analyze(shop(6 + n))).id for n in range(4)]
        found = [run.id for run in store.runs.newest()[0]]
        assert found == [kept[3], kept[2], pinned.id]
        assert len(files(store)) == 3


def test_retention_by_days_never_deletes_the_newest(
    settings_of: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(settings_of(keep_days=30)) as store:
        old = [store.runs.save(shelfwise.analyze(shop(5 + n))).id for n in range(2)]
        later = dt.datetime.now(dt.UTC) + dt.timedelta(days=31)
        monkeypatch.setattr("shelfwise.store.runs.now", lambda: later)
        assert store.runs.retain() == 1
        assert [run.id for run in store.runs.newest()[0]] == [old[1]]


def test_a_run_with_an_id_is_saved_once(store: Store, analysis: shelfwise.Analysis) -> None:
    first = store.runs.save(analysis, run_id="job-1", label="one")
    again = store.runs.save(shelfwise.analyze(shop(3)), run_id="job-1", label="two")
    assert again == first
    assert len(store.runs.newest()[0]) == 1


@pytest.mark.parametrize("label", ["x" * 201, "a\x00b", "a\nb"])
def test_a_label_that_does_not_fit_is_refused(
    store: Store, analysis: shelfwise.Analysis, label: str
) -> None:
    with pytest.raises(InputError, match="label"):
        store.runs.save(analysis, label=label)


def test_names_that_attack_are_kept_as_they_are(store: Store) -> None:
    names = ["' OR 1=1--", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "\u202eevil", "😀"]
    rows = [row | {"name": name} for row, name in zip(shop(5), names, strict=True)]
    kept = store.runs.save(shelfwise.analyze(rows), source="=cmd", label="'; DROP TABLE runs;--")
    assert store.runs.products(kept.id).collect()["name"].to_list() == names
    assert store.runs.get().label == "'; DROP TABLE runs;--"


def test_lost_results_are_named(store: Store, analysis: shelfwise.Analysis) -> None:
    kept = store.runs.save(analysis)
    store.runs.products_file(kept.id).unlink()
    with pytest.raises(StoreError, match="are gone from"):
        store.runs.products(kept.id)


def test_rubbish_is_swept_after_a_day_and_work_in_progress_is_not(
    store: Store, analysis: shelfwise.Analysis
) -> None:
    kept = store.runs.save(analysis)
    folder = store.runs.products_file(kept.id).parent
    for name in (".old.part", f"{'0' * 64}.parquet", ".new.part", "notes.txt"):
        (folder / name).write_bytes(b"x")
    day_ago = time.time() - 25 * 3600
    for path in folder.iterdir():
        if path.name != ".new.part":
            os.utime(path, (day_ago, day_ago))
    assert store.runs.sweep() == 2
    assert files(store) == {f"{kept.results}.parquet", ".new.part", "notes.txt"}


def test_a_folder_that_cannot_be_written_is_said(
    settings_of: Callable[..., Settings], analysis: shelfwise.Analysis
) -> None:
    settings = settings_of()
    with Store(settings) as store:
        settings.data_dir.mkdir(exist_ok=True)
        (settings.data_dir / "results").write_text("a file where the folder should be")
        with pytest.raises(OutputError, match="results cannot be written: "):
            store.runs.save(analysis)
        assert store.runs.newest() == ([], None)


def test_content_deleted_while_it_is_saved_is_written_again(
    store: Store, analysis: shelfwise.Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    naming, calls = store.runs._results.name, []

    def swept_first(connection: Any, artifact: Any) -> bool:
        calls.append(artifact)
        if len(calls) == 1:
            store.runs._results.path(artifact.sha256).unlink()
        return naming(connection, artifact)

    monkeypatch.setattr(store.runs._results, "name", swept_first)
    kept = store.runs.save(analysis)
    assert len(calls) == 3  # Refused, taken, and the history.
    assert store.runs.products(kept.id).collect().height == 20


def test_a_run_that_is_pinned_meanwhile_is_not_deleted(
    store: Store, analysis: shelfwise.Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, looking = store.runs.save(analysis), store.runs.get

    def looked_at_before(run_id: str = "latest") -> Any:
        run = looking(run_id)
        with store.database.write() as connection:
            connection.execute(runs.update().values(pinned=True))
        return run

    with monkeypatch.context() as patched:
        patched.setattr(store.runs, "get", looked_at_before)
        with pytest.raises(InputError, match="is pinned"):
            store.runs.delete(kept.id)
    assert store.runs.products(kept.id).collect().height == 20
