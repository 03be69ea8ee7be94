"""The database: migrated under a lock, the same tables everywhere, clear when it is away."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import shelfwise
from postgresql import Server
from shelfwise.errors import InputError, SettingError, StoreError
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Store
from shelfwise.store.database import Database, new_id
from shelfwise.store.schema import metadata

START = """
import sys
from shelfwise.store import Store
from shelfwise.settings import load_settings
from pathlib import Path
sys.stdin.readline()
with Store(load_settings({}, data_dir=Path(sys.argv[1]), database_url=sys.argv[2])) as store:
    print(store.database.version(), len(store.runs.newest()[0]))
"""


def test_migrations_make_the_tables_that_the_program_declares(store: Store) -> None:
    with store.database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_migrating_twice_changes_nothing(store: Store) -> None:
    assert store.database.migrate() == store.database.migrate() == Database.newest()


def test_processes_that_start_at_once_share_one_migration(
    database_url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", START, str(tmp_path / "kept"), database_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, error = process.communicate(timeout=60)
        assert out.split() == [Database.newest(), "0"], error


def test_a_database_of_a_newer_program_is_refused(
    settings_of: Callable[..., Settings], store: Store
) -> None:
    with store.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="a version that this program does not know"):
        Store(settings_of())


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://host/db", "sqlite://", "http://x", "postgresql//host"]
)
def test_a_url_that_names_no_database_is_a_wrong_setting(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="SHELFWISE_DATABASE_URL"):
        Store(load_settings({}, data_dir=tmp_path, database_url=url))


def test_a_database_that_is_away_is_said_without_its_password(
    postgresql: Server, tmp_path: Path
) -> None:
    wrong = postgresql.url.replace("s3cret", "hush-hush")
    with pytest.raises(StoreError, match="does not answer") as refused:
        Store(load_settings({}, data_dir=tmp_path, database_url=wrong))
    assert "hush-hush" not in str(refused.value)
    nobody = "postgresql://me:hush-hush@127.0.0.1:1/shelfwise"
    with pytest.raises(StoreError, match="does not answer") as away:
        Store(load_settings({}, data_dir=tmp_path, database_url=nobody))
    assert "hush-hush" not in str(away.value)


def test_a_folder_with_signs_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "50% off? #1"
    with Store(load_settings({}, data_dir=folder)) as store:
        store.runs.newest()
    assert (folder / "shelfwise.db").is_file()


def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    with Store(load_settings({}, data_dir=tmp_path / "kept")):
        assert (tmp_path / "kept").stat().st_mode & 0o077 == 0


def test_ids_sort_by_time_and_fit_in_addresses() -> None:
    ids = [new_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert ids[0][:12] <= ids[-1][:12]
    assert all(len(found) == 22 and found.isalnum() for found in ids)


def test_importing_the_package_does_not_need_a_database() -> None:
    code = "import sys, shelfwise, shelfwise.run; assert 'sqlalchemy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert shelfwise.Store is Store


def test_half_a_character_is_refused_and_no_crash(store: Store) -> None:
    for look in (store.runs.get, store.overrides.end, store.keys.get):
        with pytest.raises(InputError, match="half a character"):
            look("a\udcff")
