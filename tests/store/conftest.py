"""Fixtures of the store: the same tests on SQLite and on PostgreSQL."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import shelfwise
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/kept/shelfwise.db"
    server = request.getfixturevalue("postgresql")
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return str(server.url.replace("/postgres", f"/{name}"))


@pytest.fixture
def settings_of(database_url: str, tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings of a store in that database."""
    folder = tmp_path / "kept"

    def make(**given: Any) -> Settings:
        return load_settings({}, data_dir=folder, database_url=database_url, **given)

    return make


@pytest.fixture
def store(settings_of: Callable[..., Settings]) -> Iterator[Store]:
    """A store that is open."""
    with Store(settings_of()) as opened:
        yield opened


def shop(n: int = 20, times: float = 1.0) -> list[dict[str, Any]]:
    """Products that differ, the first one best; `times` multiplies what they sold."""
    return [
        {"product_id": i, "name": f"Product {i}", "price": 10.0 + i % 3,
         "units_sold": (n - i) * 7 * times, "stock": 5 + i}
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture
def analysis() -> shelfwise.Analysis:
    return shelfwise.analyze(shop())
