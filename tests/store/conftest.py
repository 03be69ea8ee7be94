"""Fixtures of the store: the same tests on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import shelfwise
from kinds import shop
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Store


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


@pytest.fixture
def analysis() -> shelfwise.Analysis:
    return shelfwise.analyze(shop())
