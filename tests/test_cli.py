"""The command line, as a process: what it prints, writes and ends with."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import shelfwise
from shelfwise import analyze, cli
from shelfwise.columns import COLUMNS, REQUIRED
from shelfwise.errors import InputError, MissingExtraError, ShelfwiseError, TooLargeError
from shelfwise.settings import SETTINGS

ROWS = [
    {"product_id": f"{n:03}", "name": f"Product {n}", "price": n + 0.5, "units_sold": n * 7 % 30,
     "stock": n * 11 % 20, "category": "ab"[n % 2]}
    for n in range(1, 31)
]  # fmt: skip
COMPUTED = ["revenue", "stock_ratio", "sales_velocity", "performance_score", "rank",
            "performance_tier", "cluster", "flags"]  # fmt: skip


def run(
    *arguments: str | Path, stdin: str | None = None, width: int = 120, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    clean = {name: v for name, v in os.environ.items() if not name.startswith("SHELFWISE_")}
    keep = {"SHELFWISE_DATA_DIR": os.environ["SHELFWISE_DATA_DIR"], "COLUMNS": str(width)}
    source = {"PYTHONPATH": str(Path(shelfwise.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "shelfwise.cli", *map(str, arguments)],
        input="" if stdin is None else stdin,
        env=clean | keep | source | variables,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command in this process: quick; errors are raised as they are."""
    monkeypatch.setenv("COLUMNS", "120")

    def invoke(*arguments: str | Path, stdin: str | None = None) -> Any:
        return CliRunner().invoke(
            cli.app, list(map(str, arguments)), input=stdin, catch_exceptions=False
        )

    return invoke


@pytest.fixture
def ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command in this process with its real end: exit code, stdout and stderr."""

    def end(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        words = ["shelfwise", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        code: Any = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code or 0, said.out, said.err)

    return end


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The same products in every kind of file; gives the CSV."""
    frame = pl.DataFrame(ROWS)
    frame.write_csv(tmp_path / "shop.csv")
    frame.write_parquet(tmp_path / "shop.parquet")
    frame.write_ipc(tmp_path / "shop.arrow")
    frame.write_ndjson(tmp_path / "shop.ndjson")
    (tmp_path / "shop.json").write_text(json.dumps(ROWS), encoding="utf-8")
    return tmp_path / "shop.csv"


def written(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def complaint(ended: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """The end was an error: its code, one message on stderr, nothing on stdout, no trace."""
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("Error") == 1
    flat = " ".join(ended.stderr.split())
    assert [text for text in said if text not in flat] == []


@pytest.mark.parametrize("kind", ["csv", "json", "ndjson", "parquet", "arrow"])
def test_every_kind_of_file_is_scored_alike(
    call: Callable[..., Any], shop: Path, kind: str
) -> None:
    ended = call("analyze", shop.with_suffix(f".{kind}"), "--format", "json")
    assert ended.exit_code == 0
    found = json.loads(ended.stdout)
    expected = analyze(ROWS).to_dict()
    assert [row["product_id"] for row in found["data"]] == [row["product_id"] for row in ROWS]
    for key in COMPUTED:
        assert [row[key] for row in found["data"]] == [row[key] for row in expected["data"]]
    assert found["summary"] == expected["summary"]


def test_standard_input_is_json() -> None:
    ended = run("analyze", "-", "--format", "json", stdin=json.dumps(ROWS))
    assert ended.returncode == 0
    assert json.loads(ended.stdout) == analyze(ROWS).to_dict()


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "csv": lambda path: pl.read_csv(path, schema_overrides={"product_id": pl.String}).to_dicts(),
    "parquet": lambda path: pl.read_parquet(path).to_dicts(),
    "arrow": lambda path: pl.read_ipc(path).to_dicts(),
    "ndjson": lambda path: pl.read_ndjson(path).to_dicts(),
    "json": lambda path: json.loads(path.read_bytes())["data"],
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_results_are_written_as_the_ending_says(
    call: Callable[..., Any], shop: Path, tmp_path: Path, kind: str, engine: str
) -> None:
    target = tmp_path / f"out.{kind}"
    ended = call("analyze", shop, "-o", target, "--engine", engine)
    assert ended.exit_code == 0
    assert "Wrote 30 products to" in ended.stdout
    rows = sorted(READERS[kind](target), key=lambda row: row["product_id"])
    expected = analyze(ROWS).products.to_dicts()
    assert [row["product_id"] for row in rows] == [row["product_id"] for row in ROWS]
    for key in ("revenue", "performance_score"):
        assert [row[key] for row in rows] == pytest.approx([e[key] for e in expected], abs=0.006)
    for key in ("performance_tier", "cluster", "rank"):
        assert [row[key] for row in rows] == [row[key] for row in expected]
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_format_wins_over_the_ending(call: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
    call("analyze", shop, "-o", tmp_path / "out.txt", "--format", "csv")
    assert len(written((tmp_path / "out.txt").read_text(encoding="utf-8"))) == 30


def test_standard_output_gets_only_the_products(call: Callable[..., Any], shop: Path) -> None:
    ended = call("analyze", shop, "-o", "-")
    assert ended.exit_code == 0
    rows = written(ended.stdout)
    assert [row["product_id"] for row in rows] == [row["product_id"] for row in ROWS]
    assert set(COMPUTED) <= rows[0].keys()


def test_an_existing_file_is_replaced_whole(
    call: Callable[..., Any], shop: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"
    target.write_text("x" * 1_000_000, encoding="utf-8")
    call("analyze", shop, "-o", target)
    assert len(written(target.read_text(encoding="utf-8"))) == 30


def test_the_table_shows_the_best_and_the_summary(call: Callable[..., Any], shop: Path) -> None:
    ended = call("analyze", shop)
    best = max(analyze(ROWS).to_dict()["data"], key=lambda row: row["performance_score"])
    assert best["name"] in ended.stdout
    for text in ("Products", "Revenue", "Mean score", "Tiers", "best 15 of 30", "standard, quota"):
        assert text in ended.stdout


def test_the_table_fits_60_columns_and_cuts_no_number(tmp_path: Path) -> None:
    rows = [row | {"name": f"A very long name of product {row['product_id']} " * 3} for row in ROWS]
    (tmp_path / "long.json").write_text(json.dumps(rows), encoding="utf-8")
    ended = run("analyze", tmp_path / "long.json", width=60)
    assert ended.returncode == 0
    assert max(map(len, ended.stdout.splitlines())) <= 60
    best = max(analyze(ROWS).to_dict()["data"], key=lambda row: row["performance_score"])
    for text in (f"{best['revenue']:,.2f}", f"{best['performance_score']:.1f}", "High"):
        assert text in ended.stdout


@pytest.mark.parametrize(
    "name", ["[bold]x[/bold]", "[/]", "[red", "\u202egnp.exe", "=cmd|' /C calc'!A0", "\x9b31m"]
)
def test_a_hostile_name_is_shown_and_written_as_it_is(
    call: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    (tmp_path / "a.json").write_text(json.dumps([ROWS[4] | {"name": name}]), encoding="utf-8")
    shown = call("analyze", tmp_path / "a.json")
    assert shown.exit_code == 0
    if "\x9b" not in name:
        assert name in shown.stdout
    found = json.loads(call("analyze", tmp_path / "a.json", "--format", "json").stdout)
    assert found["data"][0]["name"] == name
    assert call("explain", tmp_path / "a.json", "005").exit_code == 0


def test_columns_are_mapped(call: Callable[..., Any], tmp_path: Path) -> None:
    pl.DataFrame(ROWS).rename({"price": "Preis", "name": "Artikel"}).write_csv(tmp_path / "a.csv")
    arguments = ["analyze", tmp_path / "a.csv", "-o", "-"]
    ended = call(*arguments, "--map", "Preis=price", "--map", "Artikel=name")
    assert ended.exit_code == 0
    assert written(ended.stdout)[0]["name"] == "Product 1"


def test_bad_rows_are_refused_skipped_or_repaired(
    call: Callable[..., Any], ended: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [*map(str, range(5))]
    lines = [f"{n},P{n},{n}.5,1,2" for n in rows[1:]] + ['8,Dear,"$4.50 ",1,2', "9,Bad,x,1,-2"]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([",".join(REQUIRED), *lines]), encoding="utf-8")
    complaint(ended("analyze", path), 3, "/4/price", "/5/price", "/5/stock", "on_error")
    skipped = call("analyze", path, "--on-error", "skip", "-o", "-")
    assert len(written(skipped.stdout)) == 4
    assert "rows_skipped" in skipped.stderr
    repaired = call("analyze", path, "--on-error", "repair", "-o", "-")
    assert [row["product_id"] for row in written(repaired.stdout)] == ["1", "2", "3", "4", "8"]


def test_groups_and_a_period_add_columns(call: Callable[..., Any], shop: Path) -> None:
    ended = call("analyze", shop, "--group-by", "category", "--period-days", "30", "-o", "-")
    rows = written(ended.stdout)
    assert {"group_size", "score_in_group", "rank_in_group", "tier_in_group"} <= rows[0].keys()
    assert {row["group_size"] for row in rows} == {"15"}
    first = rows[0]
    assert float(first["units_per_day"]) == pytest.approx(float(first["units_sold"]) / 30)


@pytest.mark.parametrize("ending", ["json", "joblib"])
def test_a_saved_model_scores_the_same(
    call: Callable[..., Any], shop: Path, tmp_path: Path, ending: str
) -> None:
    model = tmp_path / f"m.{ending}"
    fitted = json.loads(call("analyze", shop, "--save-model", model, "--format", "json").stdout)
    again = json.loads(call("analyze", shop, "--model", model, "--format", "json").stdout)
    assert again["model"] == fitted["model"]
    assert again["data"] == fitted["data"]
    few = pl.DataFrame(ROWS[:3])
    few.write_csv(tmp_path / "few.csv")
    alone = call("analyze", tmp_path / "few.csv", "--model", model, "--format", "json")
    assert [row["performance_tier"] for row in json.loads(alone.stdout)["data"]] == [
        row["performance_tier"] for row in fitted["data"][:3]
    ]


def test_explain_says_why(call: Callable[..., Any], shop: Path) -> None:
    why = analyze(ROWS).explain("007")
    shown = call("explain", shop, "007").stdout
    for text in ("Product 7", "(007)", f"{why.score:.1f}", why.tier, "Revenue", "Sell-through"):
        assert text in shown
    found = json.loads(call("explain", shop, "007", "--json").stdout)
    assert found["product_id"] == "007"
    assert sum(found["contributions"].values()) == pytest.approx(found["score"])


def test_explain_asks_for_the_location_of_a_product_in_two(
    ended: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    file = tmp_path / "places.csv"
    lines = (f"7,Lamp,{price},5,5,{place}" for price, place in ((9, "Bonn"), (8, "Rom")))
    file.write_text("\n".join(["product_id,name,price,units_sold,stock,location", *lines]))
    asked = ended("explain", file, "7")
    assert asked.returncode == 3
    assert "several locations: 'Bonn', 'Rom'" in asked.stderr
    assert ended("explain", file, "7", "--location", "Bonn").returncode == 0


def test_explain_json_is_json_at_any_width(tmp_path: Path) -> None:
    rows = [ROWS[0] | {"name": "A name [bold]of[/] many words " * 20}, ROWS[1]]
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    ended = run("explain", tmp_path / "a.json", "001", "--json", width=40)
    assert json.loads(ended.stdout)["name"] == rows[0]["name"]


def test_columns_lists_the_contract(call: Callable[..., Any]) -> None:
    text = run("columns", width=250).stdout
    assert [column.name for column in COLUMNS if column.name not in text] == []


def test_the_sample_of_columns_can_be_analyzed(call: Callable[..., Any], tmp_path: Path) -> None:
    sample = run("columns", "--csv")
    assert sample.stderr == ""
    (tmp_path / "sample.csv").write_text(sample.stdout, encoding="utf-8", newline="")
    rows = written(call("analyze", tmp_path / "sample.csv", "-o", "-").stdout)
    assert [row["name"] for row in rows] == ["Desk lamp", "Coffee mug"]
    assert float(rows[0]["revenue"]) == 29998.5


def test_settings_lists_every_variable_and_no_secret() -> None:
    ended = run(
        "settings", width=200, SHELFWISE_API_KEY="top-secret-key-0123", SHELFWISE_MAX_ROWS="77"
    )
    assert [s.variable for s in SETTINGS if s.variable not in ended.stdout] == []
    assert "top-secret" not in ended.stdout
    assert "77" in ended.stdout


def test_the_version_is_that_of_the_package(call: Callable[..., Any]) -> None:
    assert call("--version").stdout == f"{shelfwise.__version__}\n"


def test_help_lists_every_command(call: Callable[..., Any]) -> None:
    shown = call("--help").stdout
    for command in ("analyze", "explain", "columns", "settings", "serve", "demo"):
        assert command in shown


def test_the_demo_writes_a_shop_and_scores_it(call: Callable[..., Any], tmp_path: Path) -> None:
    ended = call("demo", "--no-serve", "--folder", tmp_path / "shop")
    assert ended.exit_code == 0
    assert "500" in ended.stdout
    products = next((tmp_path / "shop").glob("products*"))
    assert call("explain", products, "1001").exit_code == 0


def test_commands_that_the_demo_shows_work(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = call("demo", "--no-serve").stdout
    wanted = ("explain", "analyze")
    lines = [line.split()[1:] for line in shown.splitlines() if line.startswith("  ")]
    commands = [line for line in lines if line and line[0] in wanted]
    assert len(commands) >= 2
    for command in commands:
        assert call(*command).exit_code == 0


WRONG: dict[str, tuple[list[str], int, list[str]]] = {
    "no such file": (["analyze", "none.csv"], 4, ["none.csv"]),
    "no such JSON file": (["analyze", "none.json"], 4, ["none.json"]),
    "no such product": (["explain", "shop.csv", "x9"], 4, ["x9"]),
    "a URL to write to": (
        ["analyze", "shop.csv", "-o", "ftp://me:s3cret@shop/out.parquet"],
        3,
        ["ftp://***@shop/out.parquet", "s3://", "postgresql://"],
    ),
    "folder without a file": (["analyze", "folder.csv"], 4, ["folder.csv"]),
    "unknown ending": (["analyze", "shop.docx"], 3, ["shop.docx", ".parquet"]),
    "not JSON": (["analyze", "broken.json"], 3, ["byte"]),
    "not Parquet": (["analyze", "broken.parquet"], 3, ["broken.parquet"]),
    "not Arrow": (["analyze", "broken.arrow"], 3, ["broken.arrow"]),
    "not Excel": (["analyze", "broken.xlsx"], 3, ["broken.xlsx"]),
    "ragged CSV": (["analyze", "ragged.csv"], 3, ["ragged.csv"]),
    "empty CSV": (["analyze", "empty.csv"], 3, []),
    "header only": (["analyze", "header.csv"], 3, ["no rows"]),
    "missing column": (["analyze", "missing.csv"], 3, ["price", "--map"]),
    "group of no column": (["analyze", "shop.csv", "--group-by", "x"], 3, ["'x'"]),
    "map of no column": (["analyze", "shop.csv", "--map", "x=price"], 3, ["'x'"]),
    "map to no column": (["analyze", "shop.csv", "--map", "name=x"], 3, ["'x'"]),
    "wrong tiering": (["analyze", "shop.csv", "--tiering", "x"], 3, ["quota", "kmeans"]),
    "wrong on-error": (["analyze", "shop.csv", "--on-error", "x"], 3, ["skip"]),
    "wrong engine": (["analyze", "shop.csv", "--engine", "x"], 3, ["duckdb"]),
    "wrong period": (["analyze", "shop.csv", "--period-days", "-1"], 3, ["36,600"]),
    "wrong profile": (["analyze", "shop.csv", "--profile", "x"], 5, ["standard"]),
    "no profile file": (["analyze", "shop.csv", "--profile", "none.toml"], 4, ["none.toml"]),
    "broken profile": (["analyze", "shop.csv", "--profile", "broken.toml"], 5, ["broken.toml"]),
    "no such model": (["analyze", "shop.csv", "--model", "none.json"], 4, ["none.json"]),
    "broken model": (["analyze", "shop.csv", "--model", "broken.json"], 6, ["broken.json"]),
    "foreign model": (["analyze", "shop.csv", "--model", "shop.json"], 6, ["shop.json"]),
    "model ending": (["analyze", "shop.csv", "--save-model", "m.pkl"], 6, [".joblib"]),
    "no such folder": (["analyze", "shop.csv", "-o", "none/out.csv"], 4, ["none"]),
}


@pytest.fixture
def mess(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good and broken files, which is the current one."""
    folder = shop.parent
    for name in ("broken.json", "broken.parquet", "broken.arrow", "broken.xlsx", "broken.toml"):
        (folder / name).write_text("this is {none", encoding="utf-8")
    (folder / "shop.docx").write_text("x", encoding="utf-8")
    (folder / "folder.csv").mkdir()
    header = ",".join(REQUIRED)
    (folder / "ragged.csv").write_text(f"{header}\n1,a,1,1,1\n2,b,1\n3,c,1,1,1\n", encoding="utf-8")
    (folder / "empty.csv").write_text("", encoding="utf-8")
    (folder / "header.csv").write_text(f"{header}\n", encoding="utf-8")
    (folder / "missing.csv").write_text("product_id,name\n1,a\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def code_of(error: ShelfwiseError) -> int:
    return next(code for kind, code in cli.EXIT.items() if isinstance(error, kind))


@pytest.mark.parametrize(("arguments", "code", "said"), WRONG.values(), ids=WRONG)
@pytest.mark.usefixtures("mess")
def test_each_mistake_has_its_error_and_exit_code(
    call: Callable[..., Any], arguments: list[str], code: int, said: list[str]
) -> None:
    with pytest.raises(ShelfwiseError) as caught:
        call(*arguments)
    assert code_of(caught.value) == code
    assert [text for text in said if text not in str(caught.value)] == []


@pytest.mark.parametrize(
    "name", ["no such file", "wrong profile", "broken model", "no such folder"]
)
@pytest.mark.usefixtures("mess")
def test_the_end_has_the_code_and_one_message(ended: Callable[..., Any], name: str) -> None:
    arguments, code, said = WRONG[name]
    complaint(ended(*arguments), code, *said)


@pytest.mark.usefixtures("mess")
def test_a_process_ends_with_the_code_and_one_message() -> None:
    complaint(run("analyze", "ragged.csv"), 3, "ragged.csv", "3")


def test_a_wrong_setting_ends_with_its_code(shop: Path) -> None:
    complaint(run("settings", SHELFWISE_MAX_ROWS="x"), 7, "SHELFWISE_MAX_ROWS")
    complaint(run("settings", SHELFWISE_MAXROWS="1"), 7, "SHELFWISE_MAXROWS")


def test_a_missing_extra_ends_with_its_code_and_says_what_to_install(tmp_path: Path) -> None:
    for name in ("flask", "waitress"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(
            f"raise ModuleNotFoundError('none', name={name!r})", encoding="utf-8"
        )
        path = f"{folder}{os.pathsep}{Path(shelfwise.__file__).parents[1]}"
        complaint(run("serve", PYTHONPATH=path), 8, name, "shelfwise[serve]")


def test_exit_codes_tell_the_errors_apart() -> None:
    assert code_of(TooLargeError("x")) == code_of(InputError("x")) == 3
    assert code_of(MissingExtraError("x")) == 8
    assert code_of(ShelfwiseError("x")) == 1
    assert not {0, 2} & set(cli.EXIT.values())


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["nonsense"],
        ["analyze", "shop.csv", "--nonsense"],
        ["analyze", "shop.csv", "--period-days", "x"],
        ["analyze", "shop.csv", "--map", "price"],
        ["analyze", "shop.csv", "--format", "xml"],
        ["analyze", "shop.csv", "--format", "table", "-o", "out.csv"],
        ["serve", "--port", "70000"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("mess")
def test_a_wrong_command_line_ends_with_2(call: Callable[..., Any], arguments: list[str]) -> None:
    ended = call(*arguments)
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert "Usage" in ended.stderr
    assert not Path("out.csv").exists()


@pytest.mark.usefixtures("mess")
def test_an_unknown_ending_of_the_output_is_said_before_the_work(ended: Callable[..., Any]) -> None:
    complaint(ended("analyze", "shop.csv", "-o", "out.docx"), 3, "out.docx")
    assert not Path("out.docx").exists()


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_a_folder_as_target_is_an_error_and_leaves_nothing(
    ended: Callable[..., Any], mess: Path, kind: str
) -> None:
    (mess / f"out.{kind}").mkdir()
    before = sorted(path.name for path in mess.iterdir())
    result = ended("analyze", "shop.csv", "-o", f"out.{kind}")
    assert result.returncode in set(cli.EXIT.values())
    assert f"out.{kind}" in result.stderr
    assert sorted(path.name for path in mess.iterdir()) == before


def test_a_full_disk_is_an_error_and_not_a_trace() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "shelfwise.cli", "columns", "--csv"],
            # Unbuffered output would fail at once; buffered output fails when it is flushed.
            env=os.environ
            | {"PYTHONPATH": str(Path(shelfwise.__file__).parents[1]), "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert ended.returncode not in (0, 120)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


@pytest.mark.parametrize(
    "options", [["--format", "csv"], ["--format", "json"]], ids=["csv", "json"]
)
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, options: list[str]) -> None:
    rows = [ROWS[0] | {"product_id": n, "name": "x" * 500} for n in range(3_000)]
    (tmp_path / "many.json").write_text(json.dumps(rows), encoding="utf-8")
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "shelfwise.cli",
            "analyze",
            tmp_path / "many.json",
            "-o",
            "-",
            *options,
        ],
        env=os.environ | {"PYTHONPATH": str(Path(shelfwise.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        killer = threading.Timer(120, process.kill)
        killer.start()
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read().decode()
        killer.cancel()
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert process.returncode == -signal.SIGPIPE, said


@pytest.fixture
def order_lines(tmp_path: Path) -> Path:
    folder = tmp_path / "sales"
    folder.mkdir()
    for month in (1, 2):
        rows = [f"{n},{month:02}/{15 + n % 9}/2026,{n},{2 * n}.5" for n in range(1, 30)]
        head = "Artikel,Day,Qty,Price"
        extra = [f"POST,{month:02}/28/2026,1,9"]
        (folder / f"{month}.csv").write_text("\n".join([head, *rows, *extra]))
    return folder


def test_order_lines_are_counted_and_scored(
    ended: Callable[..., subprocess.CompletedProcess[str]], order_lines: Path, tmp_path: Path
) -> None:
    stock = tmp_path / "stock.csv"
    stock.write_text("sku,on_hand\n" + "\n".join(f"{n},{n * 2}" for n in range(1, 30)))
    done = ended("analyze", "--sales", order_lines, "--map", "Artikel=product_id", "--stock", stock)
    assert done.returncode == 0, done.stderr
    assert "60 order lines, 2026-01-15 to 2026-02-23: 58 counted, 2 not" in done.stdout
    assert "not a product" in done.stdout
    out = tmp_path / "out.json"
    ended("analyze", "--sales", order_lines, "--map", "Artikel=product_id", "--to", "2026-01-31",
          "-o", out)  # fmt: skip
    answer = json.loads(out.read_text())
    assert answer["summary"]["products"] == 29
    assert answer["quality"]["counted"] == 29
    one = next(row for row in answer["data"] if row["product_id"] == "3")
    assert (one["units_sold"], one["net_revenue"]) == (3, 19.5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shop.csv", "--sales", "x.csv"], "Give a file of products, or --sales"),
        ([], "Give a file of products, or --sales"),
        (["--sales", "x.csv", "--dates", "us"], "day-first or month-first"),
        (["--sales", "x.csv", "--max-rejected", "many"], "write a share such as 0.1%"),
    ],
)
def test_wrong_calls_for_order_lines_are_told(
    ended: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str], told: str
) -> None:
    done = ended("analyze", *arguments)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_a_pipe_is_written_to_and_a_link_followed(
    call: Callable[..., Any], shop: Path, tmp_path: Path
) -> None:
    pipe, link, real = (tmp_path / name for name in ("pipe", "link.csv", "real.csv"))
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        call("analyze", shop, "-o", pipe, "--format", "csv")
        assert reader.stdout
        piped = reader.stdout.read()
    assert pipe.is_fifo()
    real.write_text("old")
    link.symlink_to(real)
    call("analyze", shop, "-o", link)
    assert link.is_symlink()
    assert real.read_bytes() == piped


@pytest.mark.parametrize("more", ["--stock s.csv", "--from 2026-01-01", "--by brand"])
def test_options_of_order_lines_need_them(more: str) -> None:
    result = CliRunner().invoke(cli.app, ["analyze", "products.csv", *more.split()])
    assert result.exit_code == 2
    assert "go with --sales" in " ".join(result.output.split())


def test_the_quality_report_stands_beside_the_file(tmp_path: Path) -> None:
    lines = tmp_path / "lines.csv"
    lines.write_text("sku,date,qty,price\na,2026-01-05,3,2\na,2026-01-06,-1,2\nc,2026-01-06,1,2\n")
    out = tmp_path / "out.csv"
    result = CliRunner().invoke(cli.app, ["analyze", "--sales", str(lines), "-o", str(out)])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out.quality.json").read_text())
    assert report["lines"] == 3
    assert report["findings"][0]["name"] == "returned"
    assert "out.quality.json" in result.output.replace("\n", "")
    result = CliRunner().invoke(cli.app, ["analyze", "--sales", str(lines), "-o", "-"])
    assert result.exit_code == 0, result.output
    assert len(list(tmp_path.iterdir())) == 3
