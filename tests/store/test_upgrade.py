"""Every schema that was ever in use upgrades, with data in it."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

import shelfwise
from kinds import shop
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Store
from shelfwise.store.database import Database, _alembic
from shelfwise.store.schema import (
    artifacts,
    decisions,
    derived_tables,
    metadata,
    models,
    runs,
    tier_overrides,
)

STEPS = [step.revision for step in ScriptDirectory.from_config(_alembic()).walk_revisions()][::-1]


def at_version(settings: Settings, version: str) -> Database:
    """An empty database as a program of that version has made it."""
    database = Database(settings.database_url)
    if database.is_sqlite:
        Path(str(database.url.database)).parent.mkdir(parents=True)
    config = _alembic()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    return database


def test_the_steps_are_numbered_without_a_gap() -> None:
    assert [f"{n:04}" for n in range(1, len(STEPS) + 1)] == STEPS


@pytest.mark.parametrize("version", STEPS)
def test_a_run_of_an_older_program_is_read_after_the_upgrade(
    settings_of: Callable[..., Settings], tmp_path: Path, version: str
) -> None:
    # What a run is, made by today's program in another place.
    analysis = shelfwise.analyze(shop(9))
    elsewhere = load_settings({}, data_dir=tmp_path / "elsewhere")
    with Store(elsewhere) as store:
        kept = store.runs.save(analysis, label="Old", as_of=dt.date(2026, 1, 31))
        with store.database.read() as connection:
            row = dict(connection.execute(sa.select(runs)).mappings().one())
            files = [dict(one) for one in connection.execute(sa.select(artifacts)).mappings()]
        content = store.runs.products_file(kept.id).read_bytes()

    settings = settings_of()
    old, created = at_version(settings, version), row["created_at"]
    with old.write() as connection:
        then = sa.MetaData()
        then.reflect(connection, only=["runs", "artifacts"])
        had = {column.name for column in then.tables["runs"].columns}
        for one in files:
            if one["sha256"] in (row["results"], row["history"] if "history" in had else None):
                connection.execute(artifacts.insert().values(one))
        table = sa.table("runs", *(sa.column(name, runs.c[name].type) for name in had))
        connection.execute(table.insert().values({name: row[name] for name in had}))
        connection.execute(
            models.insert().values(
                name="shop", version=1, created_at=row["created_at"], run_id=kept.id,
                parameters=row["parameters"], parameters_sha256=row["parameters_sha256"],
            )
        )  # fmt: skip
        if version >= "0005":
            said = {"product_id": "3", "reason": "Why", "who": "me", "first_day": row["as_of"],
                    "created_at": created}  # fmt: skip
            connection.execute(tier_overrides.insert().values(said | {"id": "1", "tier": "Low"}))
            answer = {"id": "2", "action": "clear", "verdict": "accepted", "run_id": kept.id}
            connection.execute(decisions.insert().values(said | answer))
        if version >= "0006":
            values = {"run_id": kept.id, "name": "trends", "results": row["results"], "about": {}}
            connection.execute(derived_tables.insert().values(values | {"created_at": created}))
    old.close()
    results = settings.data_dir / "results"
    results.mkdir(parents=True)
    (results / f"{row['results']}.parquet").write_bytes(content)

    with Store(settings) as store:
        assert store.database.version() == STEPS[-1]
        found = store.runs.get("latest")
        assert (found.id, found.label, found.as_of) == (kept.id, "Old", dt.date(2026, 1, 31))
        assert found.summary == json.loads(json.dumps(kept.summary))
        assert found.model == analysis.model
        assert store.runs.products().collect().height == 9
        assert store.models.get("shop@1").run_id == kept.id
        if version < "0005":
            store.overrides.set(3, "Low", "Why", run_id="latest")
            store.decisions.add(3, "clear", "accepted", "Why", run_id="latest")
        marked = store.overrides.marked(store.runs.products(), found.as_of).collect()
        assert marked["tier_override"].drop_nulls().to_list() == ["Low"]
        assert [one.run_id for one in store.decisions.on(found.as_of)] == [kept.id]
        assert [one.name for one in store.derived.all()] == ["trends"] * (version >= "0006")
        store.runs.save(analysis)
        if "history" not in had:
            assert len(store.runs.history.of("3")) == 2
        with store.database.read() as connection:
            tables = set(sa.inspect(connection).get_table_names())
        assert set(metadata.tables) <= tables
