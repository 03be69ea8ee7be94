"""Fixtures that every test may ask for: a frame of each kind, the real data, a private home."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

import postgresql as pg
from doors import DATABASES, environment
from kinds import ENGINES, IBIS, SPARK, Engine

# One example set for every run, here and in CI; `HYPOTHESIS_PROFILE=explore` looks further.
slow_is_fine = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "ci", derandomize=True, deadline=None, database=None, suppress_health_check=slow_is_fine
)
settings.register_profile(
    "explore", deadline=None, max_examples=2_000, suppress_health_check=slow_is_fine
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

PROJECT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)  # Before tests are chosen by their marks.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for PostgreSQL is marked as such: `make test-postgresql` runs it."""
    for item in items:
        params = item.callspec.params.values() if hasattr(item, "callspec") else ()
        given = [one for one in params if isinstance(one, str)]
        fixtures = getattr(item, "fixturenames", ())
        if "postgresql" in given or any(name.endswith("postgresql") for name in fixtures):
            item.add_marker(pytest.mark.postgresql)


@pytest.fixture(
    params=[
        *ENGINES,
        pytest.param(IBIS, marks=pytest.mark.ibis),
        pytest.param(SPARK, marks=pytest.mark.spark),
    ],
    ids=lambda engine: engine.name,
)
def frame(request: pytest.FixtureRequest) -> Engine:
    """Makes a frame of rows or columns; `frame.read` brings a result back as dicts."""
    engine: Engine = request.param
    return engine


@pytest.fixture(scope="session")
def test_data() -> Callable[[str], Path]:
    """The path of a file of the real data sets, which do not travel with the project."""
    given = os.environ.get("SHELFWISE_TEST_DATA")
    folder = Path(given) if given else PROJECT.parent / "shared" / "data"

    def path(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(
                f"{name} is not in {folder}; set SHELFWISE_TEST_DATA to the folder that has it"
            )
        return folder / name

    return path


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pg.Server]:
    """A PostgreSQL server of its own, one for all tests."""
    pytest.importorskip("psycopg")
    if not pg.binaries():
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    with pg.running(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/kept/shelfwise.db"
    return pg.new_database(request.getfixturevalue("postgresql"))


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `shelfwise demo` keeps: two runs, and all that follows of them. Only to be read."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "shelfwise.cli", "demo", "--no-serve", "--folder", str(folder)]
    clean = environment(folder / "data")
    subprocess.run(command, check=True, env=clean, stdout=subprocess.DEVNULL)
    return folder / "data"


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def _private_home(_homes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reads the settings or the key of whoever runs it."""
    for variable in list(os.environ):
        if variable.startswith("SHELFWISE_") and variable != "SHELFWISE_TEST_DATA":
            monkeypatch.delenv(variable)
    # pytest numbers its folders, and would look through those of thousands of tests for each.
    with TemporaryDirectory(dir=_homes, ignore_cleanup_errors=True) as home:
        monkeypatch.setenv("SHELFWISE_DATA_DIR", home)
        monkeypatch.setenv("XDG_DATA_HOME", home)  # For settings that leave the variables out.
        yield
