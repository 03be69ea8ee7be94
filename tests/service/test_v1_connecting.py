"""/v1/runs/{id}/publish and /v1/connect: a run for other tools, and dashboards for them."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from pages import do

from kinds import shop
from shelfwise.connect import grafana, superset
from shelfwise.jobs.work import done
from shelfwise.service import store
from shelfwise.service.kept import jobs

PLACE = "postgresql://shelfwise_reader@db.example/shelfwise"


def test_a_job_publishes_a_run_and_lets_so_many_stay(app_with: Callable[..., Flask]) -> None:
    app = app_with()
    client = app.test_client()
    ids = [client.post("/product-analysis?save=1", json=shop(n)).get_json()["run_id"]
           for n in (8, 9)]  # fmt: skip
    for asked, body, published in (
        (ids[0], {}, [ids[0]]),
        ("latest", {}, [ids[1], ids[0]]),
        (ids[1], {"keep": 1}, [ids[1]]),
    ):
        answer = client.post(f"/v1/runs/{asked}/publish", json=body)
        assert answer.status_code == 202
        job = answer.get_json()
        assert (job["what"], job["state"]) == ("publish", "queued")
        assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
        do(app, job["id"])
        assert store(app).published.all() == published
    with store(app).database.read() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM v1_products_latest")
        assert found.scalar_one() == 9
    for body in ({"keep": 0}, {"keep": "1"}, {"keep": 1.5}, {"all": True}):
        assert client.post("/v1/runs/latest/publish", json=body).status_code == 422
    assert client.post("/v1/runs/nobody/publish", json={}).status_code == 404


def test_what_comes_by_a_schedule_may_be_published(
    app_with: Callable[..., Flask], tmp_path: Path
) -> None:
    app = app_with(sources=(str(tmp_path),))
    (tmp_path / "shop.json").write_text(json.dumps(shop(7)))
    run = {"source": {"place": str(tmp_path / "shop.json")}, "publish": True}
    asked = {"name": "weekly", "cron": "0 6 * * 1", "run": run}
    assert app.test_client().post("/v1/schedules", json=asked).status_code == 201
    with app.app_context():
        job = jobs().trigger("weekly")
        request = dict(jobs().get(job).request)
    task = {"run_id": "weekly-1", "job_id": job, "request": request}
    kept = done(store(app), task)
    assert store(app).published.all() == [kept.id]
    del request["publish"]
    done(store(app), task | {"run_id": "weekly-2"})
    assert store(app).published.all() == [kept.id]


def read(client: FlaskClient, path: str) -> dict[str, bytes]:
    with client.get(path) as answer:
        assert answer.status_code == 200
        assert answer.mimetype == "application/zip"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
        with zipfile.ZipFile(io.BytesIO(answer.get_data())) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def test_dashboards_come_as_zips(client_of: Callable[..., FlaskClient], tmp_path: Path) -> None:
    client = client_of(data_dir=tmp_path)
    assert read(client, "/v1/connect/grafana.zip") == grafana.files()
    found = read(client, f"/v1/connect/superset.zip?database={PLACE}")
    assert found == superset.files(PLACE)


def test_an_address_is_needed_and_has_no_password(
    client_of: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    client = client_of(data_dir=tmp_path)
    for query, said in (
        ("", "Where is the database?"),
        ("?database=postgresql://me:hush@host/db", "***@host/db', which does not fit"),
        ("?database=mysql://host/db", "which does not fit"),
    ):
        answer = client.get(f"/v1/connect/superset.zip{query}")
        assert answer.status_code == 422
        assert said in answer.get_json()["detail"]
        assert "hush" not in answer.get_json()["detail"]
