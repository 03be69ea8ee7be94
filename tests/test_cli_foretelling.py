"""shelfwise trends and forecast: what they print, write and refuse."""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from rich.console import Console
from typer.testing import CliRunner

from kinds import sold
from shelfwise import cli
from shelfwise.cli import foretelling, screen
from shelfwise.errors import InputError, NotFoundError
from shelfwise.sales.labels import TRENDS
from shelfwise.store import Store

Call = Callable[..., Any]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("COLUMNS", "140")

    def invoke(*arguments: str | Path) -> Any:
        return CliRunner().invoke(cli.app, list(map(str, arguments)), catch_exceptions=False)

    return invoke


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three years of weeks: a lamp that rises, a mug that stays, a pot of ten weeks."""
    chance = np.random.default_rng(3)
    monday = dt.date(2023, 1, 2)
    rows = []
    for name, category, mean in (
        ("Lamp [red]", "light", 10 * 1.6 ** (np.arange(156) / 52)),
        ("Mug", "table", np.full(156, 30.0)),
        ("Pot", None, np.where(np.arange(156) > 145, 9.0, 0.0)),
    ):
        for week, units in enumerate(chance.poisson(mean)):
            if units:
                rows.append({"product_id": name[:3], "name": name, "category": category,
                             "week": monday + dt.timedelta(weeks=week), "units": float(units),
                             "revenue": 2.0 * units})  # fmt: skip
    path = tmp_path_factory.mktemp("weeks") / "weeks.csv"
    pl.DataFrame(rows, infer_schema_length=None).write_csv(path)
    return path


def test_trends_show_what_is_confirmed_and_count_the_rest(call: Call, weeks: Path) -> None:
    shown = call("trends", weeks)
    assert shown.exit_code == 0
    assert "156 whole weeks from 2023-01-02" in shown.output
    lamp = next(line for line in shown.output.splitlines() if "Lamp [red]" in line)
    assert "rising" in lamp
    assert TRENDS["too_short"] in shown.output
    assert "Pot" not in shown.output


@pytest.mark.parametrize("kind", ["csv", "json", "ndjson", "parquet"])
def test_trends_are_written_with_all_their_columns(
    call: Call, weeks: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / f"trends.{kind}"
    assert "Wrote 3 rows" in call("trends", weeks, "-o", out).output
    if kind == "json":
        rows = json.loads(out.read_text(encoding="utf-8"))
    else:
        rows = getattr(pl, f"read_{kind}")(out).to_dicts()
    assert rows[0]["trend"] == "rising"
    assert rows[2]["trend"] == "too_short"
    assert rows[2]["reason"] == "9 whole weeks; 52 are needed"


def test_trends_of_categories_leave_out_what_has_none(call: Call, weeks: Path) -> None:
    shown = call("trends", weeks, "--by", "category", "-o", "-")
    assert [line.split(",")[0] for line in shown.stdout.splitlines()] == [
        "category", "light", "table"]  # fmt: skip


def test_nothing_confirmed_is_said(call: Call, weeks: Path, tmp_path: Path) -> None:
    short = pl.read_csv(weeks).filter(pl.col("week") < "2023-06-01")
    short.write_csv(tmp_path / "short.csv")
    shown = call("trends", tmp_path / "short.csv")
    assert "No trend is confirmed." in shown.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "polars"], "duckdb or spark"),
        (["--format", "xlsx"], "cannot be written"),
        (["--format", "table", "-o", "x.csv"], "for the screen"),
        (["--dates", "any"], "day-first or month-first"),
        (["--max-rejected", "many"], "a share such as 0.1%"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    call: Call, weeks: Path, options: list[str], told: str
) -> None:
    for command in ("trends", "forecast"):
        refused = call(command, weeks, *options)
        assert refused.exit_code == 2
        assert told in " ".join(refused.output.replace("│", " ").split())


def test_an_unknown_by_is_an_error_of_ours(call: Call, weeks: Path) -> None:
    with pytest.raises(InputError, match="product_id or category"):
        call("trends", weeks, "--by", "brand")


def test_a_forecast_is_shown_and_tried_on_the_past(call: Call, weeks: Path) -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    shown = call("forecast", weeks, "--horizon", "4", "--evaluate")
    assert "Units in the next 4 weeks" in shown.output
    assert "Lamp [red]" in shown.output
    assert "seasonal naive" in shown.output
    assert "3 of 3 products, 4 weeks from each of 4 weeks" in shown.output


def test_a_forecast_is_written_as_csv(call: Call, weeks: Path, tmp_path: Path) -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    call("forecast", weeks, "-o", tmp_path / "ahead.csv")
    ahead = pl.read_csv(tmp_path / "ahead.csv")
    assert ahead["horizon"].to_list() == [13] * 3
    assert (ahead["q5"] <= ahead["q95"]).all()


def test_a_forecast_leaves_out_days_out_of_stock(call: Call, kept: Path) -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    days = kept / "days.csv"
    days.write_text("product_id,date\n100,2024-03-05\n", encoding="utf-8")
    lines = [kept / "lines.parquet", "--catalog", kept / "catalog.csv"]
    for source in (lines, ["--run", "latest"]):
        call("forecast", *source, "--out-of-stock", days, "-o", kept / "ahead.csv")
        assert pl.read_csv(kept / "ahead.csv")["weeks"].to_list() == [159] + [160] * 11


@pytest.fixture
def kept(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a run of order lines, whose catalogue is beside them."""
    monkeypatch.setenv("SHELFWISE_DATA_DIR", str(tmp_path / "kept"))
    lines, catalog = sold()
    pl.DataFrame(lines).write_parquet(tmp_path / "lines.parquet")
    pl.DataFrame(catalog).write_csv(tmp_path / "catalog.csv")
    saved = call("analyze", "--sales", tmp_path / "lines.parquet", "--catalog",
                 tmp_path / "catalog.csv", "--save")  # fmt: skip
    assert "Kept as run" in saved.output
    return tmp_path


def test_trends_of_a_kept_run_are_those_of_its_lines_and_stay_with_it(
    call: Call, kept: Path
) -> None:
    of_run = call("trends", "--run", "latest", "-o", kept / "run.csv")
    assert "Wrote 12 rows" in of_run.output
    call("trends", kept / "lines.parquet", "--catalog", kept / "catalog.csv", "-o", kept / "l.csv")
    # Those of the file were summed in DuckDB.
    assert_frame_equal(pl.read_csv(kept / "run.csv"), pl.read_csv(kept / "l.csv"), rel_tol=1e-9)
    by_category = call("trends", "--run", "latest", "--by", "category")
    assert "Up" in by_category.output
    with Store(data_dir=kept / "kept") as store:
        assert [one.name for one in store.derived.all()] == ["category_trends", "trends"]


def test_a_forecast_of_a_kept_run_stays_with_it(call: Call, kept: Path) -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    shown = call("forecast", "--run", "latest", "--horizon", "4")
    assert "Units in the next 4 weeks" in shown.output
    with Store(data_dir=kept / "kept") as store:
        assert store.derived.get("latest", "forecast").about["horizon"] == 4


def test_a_run_or_lines_are_named_but_not_both(call: Call, kept: Path) -> None:
    lines = str(kept / "lines.parquet")
    for arguments, told in (
        (["trends"], "Give order lines, or --run"),
        (["forecast", lines, "--run", "latest"], "Give order lines, or --run"),
        (["trends", "--run", "latest", "--from", "2023-01-01"], "counted already"),
        (["forecast", "--run", "latest", "--map", "a=b"], "counted already"),
    ):
        refused = call(*arguments)
        assert refused.exit_code == 2
        assert told in " ".join(refused.output.replace("│", " ").split())
    with pytest.raises(InputError, match="product_id or category"):
        call("trends", "--run", "latest", "--by", "brand")
    with pytest.raises(NotFoundError, match="no run"):
        call("trends", "--run", "abcdef")


def test_a_bar_shows_how_much_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = StringIO()
    terminal = Console(file=shown, force_terminal=True, width=100)
    monkeypatch.setattr(screen, "err", terminal)
    with screen.busy("Forecasting [all]") as told:
        told(0.43)
        end = time.monotonic() + 20
        while "43%" not in shown.getvalue():
            assert time.monotonic() < end
            time.sleep(0.1)
    assert "Forecasting [all]" in shown.getvalue()
    assert "0:00:0" in shown.getvalue()


def test_a_forecast_tells_how_far_it_is(
    call: Call, weeks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    told: list[float] = []

    @contextmanager
    def listening(what: str) -> Iterator[Callable[[float], None]]:
        yield told.append

    monkeypatch.setattr(foretelling, "busy", listening)
    call("forecast", weeks, "--evaluate")
    assert told[-1] == 1.0
    assert told.count(1.0) >= 2  # The forecast, and its evaluation.
