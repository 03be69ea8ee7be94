"""Fixtures of the service: the application under test, through the test client and for real."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import app_of, with_lines

from doors import LIMITS, ClientDoor, Door, LiveDoor, serving
from shelfwise.service import close, create_app
from shelfwise.settings import load_settings


@pytest.fixture(scope="session")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A data folder with a run of order lines and what is made of it; made once, then copied."""
    made: dict[tuple[str, ...], Path] = {}

    def copy(to: Path, names: tuple[str, ...] = ()) -> Path:
        if names not in made:
            made[names] = tmp_path_factory.mktemp("decided")
            app = app_of(made[names])
            with_lines(app, "trends", "inventory", "suppliers", names=names)
            close(app)
        shutil.copytree(made[names], to, dirs_exist_ok=True)
        return to

    return copy


@pytest.fixture
def app(tmp_path: Path, decided: Callable[..., Path]) -> Iterator[Flask]:
    """An application with a run of order lines and what is made of it."""
    made = app_of(decided(tmp_path))
    yield made
    close(made)


@pytest.fixture
def reader(app: Flask) -> FlaskClient:
    """A browser on that application."""
    return app.test_client()


@pytest.fixture
def app_with(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Makes an application with a store of the test's own and the settings given."""
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        made.append(app_of(tmp_path, **settings))
        return made[-1]

    yield make
    for app in made:
        close(app)


@pytest.fixture
def client_of() -> Iterator[Callable[..., FlaskClient]]:
    """Makes a test client of an application with the settings given, and no others."""
    made: list[Flask] = []

    def make(**given: Any) -> FlaskClient:
        made.append(create_app(load_settings({}, **given)))
        return made[-1].test_client()

    yield make
    for app in made:
        close(app)


@pytest.fixture
def client(client_of: Callable[..., FlaskClient]) -> FlaskClient:
    """A test client with the limits that the live server has, too."""
    return client_of(**LIMITS)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDoor]:
    """A real server on loopback, one for all tests."""
    limits = {f"SHELFWISE_{name.upper()}": str(value) for name, value in LIMITS.items()}
    with serving(tmp_path_factory.mktemp("live"), **limits) as door:
        yield door


@pytest.fixture(params=["client", "live"])
def door(request: pytest.FixtureRequest) -> Door:
    """The same question through the test client and through the real server."""
    found = request.getfixturevalue(request.param)
    return found if isinstance(found, LiveDoor) else ClientDoor(found)
