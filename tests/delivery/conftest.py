"""Fixtures of deliveries: settings that allow the receivers of the tests, and a run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import shelfwise
from kinds import shop
from receivers import Trust
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Run, Store


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture
def trusted(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> Trust:
    """This process trusts the authority of the tests."""
    monkeypatch.setenv("SSL_CERT_FILE", str(trust.file))
    return trust


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings with a data folder, and a folder for reports."""

    def make(**given: Any) -> Settings:
        given = {"delivery_folders": (str(tmp_path / "out"),), "mail_from": "shop@shop.example",
                 "webhook_allow": ("localhost",), "delivery_waits": ("1", "1")} | given  # fmt: skip
        return load_settings({}, data_dir=tmp_path / "kept", **given)

    return make


@pytest.fixture
def kept(settings_for: Callable[..., Settings]) -> Iterator[tuple[Store, Run]]:
    """A store with a run."""
    with Store(settings_for()) as store:
        yield store, store.runs.save(shelfwise.analyze(shop(9)), label="Weekly")
