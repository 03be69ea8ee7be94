"""The commands about what is kept: analyze --save, runs, model, migrate."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import shelfwise
from kinds import shop
from shelfwise import cli
from shelfwise.errors import InputError, ModelError, NotFoundError
from shelfwise.store import Store


@pytest.fixture
def call(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The command in this process, on a store of its own; what it printed on both outputs."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("SHELFWISE_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("SHELFWISE_DATABASE_URL", database_url)
    pl.DataFrame(shop()).write_csv(tmp_path / "shop.csv")
    pl.DataFrame(shop(times=9)).write_csv(tmp_path / "more.csv")
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, code: int = 0, stdin: str | None = None) -> str:
        done = CliRunner().invoke(cli.app, list(arguments), input=stdin, catch_exceptions=False)
        assert done.exit_code == code, done.output
        return str(done.output)

    return invoke


def kept(said: str) -> str:
    return said.split("Kept as run ")[1].split(".")[0]


def test_a_run_is_kept_listed_shown_pinned_and_deleted(call: Callable[..., str]) -> None:
    assert "No run is kept yet" in call("runs", "list")
    run = kept(call("analyze", "shop.csv", "--save", "--label", "March", "--as-of", "2026-03-31"))
    listed = call("runs", "list")
    assert all(text in listed for text in (run, "March", "2026-03-31", "20"))
    shown = call("runs", "show")
    assert all(text in shown for text in (run, "shop.csv", "Product 01", "March", "Mean score"))
    assert "is pinned" in call("runs", "pin", run[:12])
    with pytest.raises(InputError, match="is pinned"):
        call("runs", "delete", run, "--yes")
    assert "is not pinned" in call("runs", "pin", run, "--off")
    call("runs", "delete", run, code=1, stdin="n\n")
    assert f"Deleted run {run}" in call("runs", "delete", run, stdin="y\n")
    with pytest.raises(NotFoundError):
        call("runs", "show", run)


def test_a_tier_is_set_listed_shown_and_ended(call: Callable[..., str]) -> None:
    assert "No tier is set" in call("override", "list")
    call("analyze", "shop.csv", "--save", "--as-of", "2026-03-31")
    assert "Overridden" not in call("runs", "show")
    said = call("override", "set", "7", "High", "--reason", "[bold]Why[/]", "--until", "2099-12-31")
    assert "7 counts as High from 2026-03-31 to 2099-12-31." in said
    override = said.split("override end ")[1].split("`")[0]
    listed = call("override", "list", "--product", "7")
    assert all(text in listed for text in (override, "High", "2099-12-31", "[bold]Why[/]"))
    call("analyze", "more.csv", "--save", "--as-of", "2026-04-30")
    shown = call("runs", "show")
    assert "1 product" in shown.split("Overridden")[1]
    assert "Medium, set to High" in shown
    assert "7 counted as High from 2026-03-31 to 2026-04-29." in call("override", "end", override)
    assert "Overridden" not in call("runs", "show")
    assert "No tier is set" in call("override", "list")
    found = json.loads(call("override", "list", "--all", "--json"))
    assert [(one["id"], one["who"]) for one in found] == [(override, "command line")]
    with Store() as store:
        log, _ = store.audit.newest()
    assert [(one["action"], one["target"]) for one in log] == [
        ("override.end", override), ("override.set", override)
    ]  # fmt: skip


def test_a_tier_is_set_at_a_location_of_a_run(call: Callable[..., str], tmp_path: Path) -> None:
    rows = [row | {"location": place} for row in shop(4) for place in ("Berlin", "Rome")]
    pl.DataFrame(rows).write_csv(tmp_path / "places.csv")
    run = kept(call("analyze", "places.csv", "--save"))
    call("analyze", "shop.csv", "--save")
    given = ("override", "set", "3", "Low", "--reason", "Why", "--location", "Rome")
    with pytest.raises(InputError, match="has no product '3' at 'Rome'"):
        call(*given)
    said = call(*given, "--run", run, "--from", "2026-01-01")
    assert "3 at Rome counts as Low from 2026-01-01 on." in said
    assert "write 2026-06-30" in call(*given, "--until", "soon", code=2)
    override = said.split("override end ")[1].split("`")[0]
    assert "3 at Rome counted as Low" in call("override", "end", override, "--run", run)


def test_a_tier_is_set_and_ended_while_no_run_is_kept(call: Callable[..., str]) -> None:
    said = call("override", "set", "new", "High", "--reason", "It comes next week.")
    override = said.split("override end ")[1].split("`")[0]
    assert "new counted as High on no day." in call("override", "end", override)
    with pytest.raises(NotFoundError):
        call("override", "end", "nothing")


def test_what_is_shown_as_json_is_what_the_store_has(call: Callable[..., str]) -> None:
    call("analyze", "shop.csv", "--save")
    listed, shown = json.loads(call("runs", "list", "--json")), call("runs", "show", "--json")
    assert listed == [json.loads(shown)]
    assert listed[0]["summary"] == shelfwise.analyze(shop()).summary
    assert listed[0]["origin"] == "command line"


def test_a_beginning_that_fits_several_runs_is_refused(
    call: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["0123456789abcdef01", "0123456789abcdef02"])
    monkeypatch.setattr("shelfwise.store.runs.new_id", lambda: next(ids))
    call("analyze", "shop.csv", "--save")
    call("analyze", "shop.csv", "--save")
    with pytest.raises(InputError, match="Several runs begin with 0123"):
        call("runs", "show", "0123")
    with pytest.raises(NotFoundError):
        call("runs", "show", "%%%%")


def test_a_model_is_trained_rolled_out_and_rolled_back(call: Callable[..., str]) -> None:
    assert "No model is kept yet" in call("model", "list")
    first = kept(call("analyze", "shop.csv", "--save"))
    call("analyze", "more.csv", "--save")
    assert "shop has version 1, current" in call("model", "train", "shop", first)
    assert "shop has version 2." in call("model", "train", "shop")
    assert "shop has version 2, current" in call("model", "alias", "shop", "current", "2")
    assert "shop has version 1, current" in call("model", "alias", "shop", "current", "1")
    versions = json.loads(call("model", "list", "shop", "--json"))
    assert [(v["version"], v["aliases"]) for v in versions] == [(2, []), (1, ["current"])]
    assert versions[1]["run_id"] == first
    assert "shifted" in call("model", "drift", "shop", "latest")
    drift = json.loads(call("model", "drift", "shop", "--json"))
    assert drift[0]["psi"] > 0.25
    assert first in call("model", "list")


@pytest.mark.parametrize("name", ["m.json", "m.joblib"])
def test_a_model_travels_as_a_file(call: Callable[..., str], name: str, tmp_path: Path) -> None:
    call("analyze", "shop.csv", "--save")
    call("model", "train", "shop")
    assert "Wrote shop@1" in call("model", "export", "shop", "-o", name)
    assert "other has version 1, current" in call("model", "import", "other", name)
    with Store() as store:
        assert store.models.get("other").model == store.models.get("shop").model
    assert "no training data" in call("model", "drift", "other")


def test_a_foreign_pickle_is_not_imported(call: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "bad.joblib").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ModelError):
        call("model", "import", "shop", "bad.joblib")
    assert not (tmp_path / "owned").exists()


def test_scoring_against_a_kept_model(call: Callable[..., str], tmp_path: Path) -> None:
    call("analyze", "shop.csv", "--save")
    call("model", "train", "shop")
    call("analyze", "more.csv", "--model", "shop@current", "-o", "scored.csv")
    scored = pl.read_csv(tmp_path / "scored.csv")
    with Store() as store:
        model = store.models.get("shop").model
    expected: Any = shelfwise.analyze(str(tmp_path / "more.csv"), model=model).products
    assert scored["performance_tier"].to_list() == expected["performance_tier"].to_list()
    with pytest.raises(NotFoundError):
        call("analyze", "more.csv", "--model", "shop@9")


def test_migrate_tells_the_version(call: Callable[..., str]) -> None:
    told = call("migrate")
    assert "has version 00" in told
    assert "s3cret" not in told
