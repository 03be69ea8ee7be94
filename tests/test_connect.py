"""Dashboards for Superset and Grafana: every question is asked of real views, every id stays."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shelfwise
from kinds import shop
from postgresql import Server, new_database
from shelfwise.connect import grafana, superset, zipped
from shelfwise.connect.questions import QUESTIONS, WIDTH, rows, sql
from shelfwise.errors import InputError
from shelfwise.settings import load_settings
from shelfwise.store import Store
from shelfwise.store.reporting import VIEW, VIEWS

PLACE = "postgresql://shelfwise_reader@db.example/shelfwise"


@pytest.fixture(scope="module")
def reader(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A connection of the role that only reads, to three published runs."""
    import psycopg

    url = new_database(postgresql)
    role = f"reader_{url[-6:]}"
    folder = tmp_path_factory.mktemp("published")
    with Store(load_settings({}, data_dir=folder, database_url=url)) as store:
        for day in (1, 2, 3):
            products = [
                row | {"supplier": f"S{row['product_id'] % 3}", "unit_cost": 3.0,
                       "units_sold": row["product_id"] * 7 * day % 50}
                for row in shop(40)
            ]  # fmt: skip
            run = store.runs.save(shelfwise.analyze(products))
            store.derived.make(run, "inventory")
            store.published.publish()
        password = store.published.let_read(role)
    with psycopg.connect(url.replace("shop:s3cret", f"{role}:{password}")) as connection:
        yield connection


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_the_sql_of_every_panel_finds_something(question: Any, reader: Any) -> None:
    found = reader.execute(sql(question))
    names = [column.name for column in found.description]
    data = found.fetchall()
    assert 0 < len(data) <= question.limit
    assert len(names) == len(question.by) + len(question.measures) == len(set(names))
    for place, measure in enumerate(question.measures, len(question.by)):
        assert names[place] == measure.label
        assert any(row[place] is not None for row in data)
    if question.shape == "lines":
        assert names[0] == "time"
        assert [row[0] for row in data] == sorted(row[0] for row in data)


def test_numbers_of_the_panels_are_those_of_the_views(reader: Any) -> None:
    asked = {question.name: reader.execute(sql(question)).fetchall() for question in QUESTIONS}
    total = "SELECT sum(revenue), count(*) FROM reporting.v1_products_latest"
    revenue, count = reader.execute(total).fetchone()
    assert asked["revenue"] == [(revenue,)]
    assert asked["products"] == [(count,)]
    assert sum(row[1] for row in asked["tiers"]) == pytest.approx(revenue)
    assert sum(row[1] for row in asked["scores"]) == count
    assert asked["high"][0][0] == dict(asked["tiers"])["High"]
    assert len(asked["changes"]) == asked["moved"][0][0]
    # The three runs speak of one day: their revenue must not be added up.
    assert [row[1] for row in asked["course"]] == [pytest.approx(revenue)]
    best = [row[5] for row in asked["best"]]
    assert best == sorted(best, reverse=True)


def test_what_is_asked_is_in_the_views_and_rows_are_full() -> None:
    for question in QUESTIONS:
        names = {field.name for field in VIEW[question.view].fields}
        used = {*question.by, *(m.column for m in question.measures if m.column != "*")}
        assert used <= names, question.name
        ordered = question.ordering[0] if question.by else ""
        assert ordered in names | {m.label for m in question.measures} | {""}
        assert (question.shape == "table") == (not question.measures)
    for row in rows():
        assert sum(question.width for question in row) == WIDTH
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)


def assets(place: str = PLACE) -> dict[str, Any]:
    return {path: json.loads(content) for path, content in superset.files(place).items()}


def test_the_assets_of_superset_belong_together() -> None:
    found = assets()
    assert found["shelfwise/metadata.yaml"] == {"version": "1.0.0", "type": "Dashboard"}
    database = found["shelfwise/databases/Shelfwise.yaml"]
    assert database["sqlalchemy_uri"] == PLACE.replace("@", ":XXXXXXXXXX@")
    assert not database["allow_dml"]
    datasets = {one["uuid"]: one for path, one in found.items() if "/datasets/" in path}
    assert {one["table_name"] for one in datasets.values()} == VIEW.keys()
    for one in datasets.values():
        assert (one["database_uuid"], one["schema"]) == (database["uuid"], "reporting")
        fields = VIEW[one["table_name"]].fields
        assert [column["column_name"] for column in one["columns"]] == [f.name for f in fields]
        assert all(column["description"] for column in one["columns"])
    charts = {one["uuid"]: one for path, one in found.items() if "/charts/" in path}
    assert len(charts) == len(QUESTIONS)
    for one in charts.values():
        named = {c["column_name"] for c in datasets[one["dataset_uuid"]]["columns"]}
        (query,) = json.loads(one["query_context"])["queries"]
        assert set(query["columns"]) <= named
    board = found["shelfwise/dashboards/Shelfwise.yaml"]
    shown = [one["meta"]["uuid"] for one in board["position"].values()
             if isinstance(one, dict) and one["type"] == "CHART"]  # fmt: skip
    assert sorted(shown) == sorted(charts)
    for one in board["position"].values():
        if isinstance(one, dict):
            assert all(child in board["position"] for child in one.get("children", ()))
    every = [*datasets, *charts, database["uuid"], board["uuid"]]
    assert len(set(every)) == len(every) == len(VIEWS) + len(QUESTIONS) + 2


def test_the_same_address_gives_the_same_bytes_and_another_one_other_ids() -> None:
    assert zipped(superset.files(PLACE)) == zipped(superset.files(PLACE))
    elsewhere = assets(PLACE.replace("/shelfwise", "/other"))
    for path, one in assets().items():
        if "uuid" in one:
            assert elsewhere[path]["uuid"] != one["uuid"]
    with zipfile.ZipFile(io.BytesIO(zipped(superset.files(PLACE)))) as archive:
        assert archive.testzip() is None
        assert {path.partition("/")[0] for path in archive.namelist()} == {"shelfwise"}


def test_sqlite_has_no_schema_and_no_user() -> None:
    found = assets("sqlite:////data/shelfwise.db")
    assert found["shelfwise/databases/Shelfwise.yaml"]["sqlalchemy_uri"] == (
        "sqlite:////data/shelfwise.db"
    )
    assert found["shelfwise/datasets/Shelfwise/v1_runs.yaml"]["schema"] is None


@pytest.mark.parametrize(
    ("place", "said"),
    [("postgresql://me:hush@host/db", "has a password"), ("mysql://host/db", "is no address"),
     ("postgresql:///db", "is no address"), ("sqlite://", "is no address"),
     ("sqlite://me:hush@/x", "has a password"), ("", "is no address"),
     ("postgresql://[host/db", "is no address"), ("postgresql://h/d\n", "is no address")],
)  # fmt: skip
def test_other_addresses_are_refused_without_their_password(place: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        superset.files(place)
    assert "hush" not in str(refused.value)


def test_the_files_of_grafana_belong_together() -> None:
    found = {path: json.loads(content) for path, content in grafana.files().items()}
    (source,) = found["datasources/shelfwise.yaml"]["datasources"]
    text = json.dumps(source)
    for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD", "SSLMODE"):
        assert f"${{REPORTING_DB_{name}}}" in text
    board = found["dashboards/shelfwise/shelfwise.json"]
    (provider,) = found["dashboards/shelfwise.yaml"]["providers"]
    assert provider["options"]["path"].endswith("/dashboards/shelfwise")
    assert board["timezone"] == "utc"  # Else the days of runs would be others west of London.
    taken: set[tuple[int, int]] = set()
    for number, (panel, question) in enumerate(
        zip(board["panels"], QUESTIONS, strict=True), start=1
    ):
        assert (panel["id"], panel["title"]) == (number, question.title)
        (target,) = panel["targets"]
        assert target["rawSql"] == sql(question)
        for one in (panel["datasource"], target["datasource"]):
            assert one == {"type": source["type"], "uid": source["uid"]}
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def test_the_commands_write_the_same_files(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from shelfwise.cli import app

    def call(*words: str) -> Any:
        return CliRunner().invoke(app, ["connect", *words], catch_exceptions=False)

    target = tmp_path / "superset.zip"
    assert call("superset", "--database", PLACE, "-o", str(target)).exit_code == 0
    assert target.read_bytes() == zipped(superset.files(PLACE))
    folder = tmp_path / "grafana"
    for _ in range(2):  # What is there is written over.
        assert call("grafana", "-o", str(folder)).exit_code == 0
    written = {str(path.relative_to(folder)): path.read_bytes()
               for path in folder.rglob("*") if path.is_file()}  # fmt: skip
    assert written == grafana.files()
