"""shelfwise publish: what it prints, what it needs and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import shelfwise
from kinds import shop
from postgresql import Server, new_database
from shelfwise import cli
from shelfwise.errors import InputError, NotFoundError
from shelfwise.store import Store


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("COLUMNS", "160")

    def invoke(*arguments: str | Path) -> Any:
        return CliRunner().invoke(cli.app, list(map(str, arguments)), catch_exceptions=False)

    return invoke


def keep(n: int) -> str:
    with Store() as store:
        return store.runs.save(shelfwise.analyze(shop(n))).id


def test_a_run_is_published_by_the_beginning_of_its_id(call: Callable[..., Any]) -> None:
    first, second = keep(20), keep(12)
    said = call("publish", first[:18])
    assert f"Published run {first} of " in said.output
    assert "20 products." in said.output
    said = call("publish", "--keep", "1")
    assert f"Published run {second} of " in said.output
    assert f"Not published any more: {first}." in said.output
    assert call("publish", "--withdraw").output == f"Run {second} is not published any more.\n"
    with Store() as store:
        assert store.published.all() == []
    with pytest.raises(NotFoundError, match="is published"):
        call("publish", second, "--withdraw")
    with pytest.raises(InputError, match="SQLite has no roles"):
        call("publish", "--role", "reader")
    assert call("publish", "--withdraw", "--keep", "1").exit_code == 2


def test_the_address_for_a_new_role_is_shown_once(
    call: Callable[..., Any], postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    url = new_database(postgresql)
    monkeypatch.setenv("SHELFWISE_DATABASE_URL", url)
    keep(20)
    role = f"reader_{url[-6:]}"
    said = call("publish", "--role", role)
    assert "Keep this password" in said.stderr
    theirs = said.stdout.splitlines()[-1]
    assert theirs.startswith(f"postgresql://{role}:")
    with psycopg.connect(theirs) as reader:
        found = reader.execute("SELECT count(*) FROM reporting.v1_products_latest").fetchone()
        assert found == (20,)
    assert f"{role} may read the views; its password is as it was." in call(
        "publish", "--role", role
    ).output  # fmt: skip
