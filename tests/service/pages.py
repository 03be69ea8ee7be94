"""Pages of the dashboard through the test client: a shop to show, and what its forms send."""

import html
import re
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from kinds import sold
from shelfwise import analyze, from_sales
from shelfwise.jobs.work import make_request
from shelfwise.service import create_app, store
from shelfwise.service.kept import jobs
from shelfwise.settings import load_settings

HOSTILE = (
    "<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "{{7*7}}",
    "=cmd|' /C calc'!A0", "\u0633\u0645\u0627\u0639\u0627\u062a", "\u8d85\u957f\u7684" * 24,
    "\u202eabc \N{HEADPHONE}",
)  # fmt: skip


def app_of(folder: Path, **settings: Any) -> Flask:
    """An application with an empty store."""
    return create_app(load_settings({}, data_dir=folder / "data", **settings))


def stocked(names: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The catalogue of `sold` with stock: some sold out, some enough, some far too much."""
    _, catalog = sold()
    rows = [
        row | {"unit_cost": 4.0, "lead_time_days": 14, "pack_size": 6, "supplier": f"S{n % 4}",
               "stock": (0, 400, 90_000)[n % 3]}
        for n, row in enumerate(catalog)
    ]  # fmt: skip
    for n, name in enumerate(names):
        rows[n] |= {"name": name, "category": name[:40], "supplier": name}
    return rows


def with_lines(app: Flask, *kinds: str, names: tuple[str, ...] = (), **tables: Any) -> str:
    """Keep a run of order lines, and make tables of it; its id."""
    rows = stocked(names)
    lines, _ = sold()
    kept = store(app)
    run = kept.runs.save(analyze(from_sales(lines, catalog=rows, stock=rows)), label="Spring")
    for kind in kinds:
        given = {name: tables[name] for name in tables if kind == "suppliers"}
        kept.derived.make(run, kind, tables=given)  # type: ignore[arg-type]
    return run.id


def page(client: FlaskClient, path: str, status: int = 200, kind: str = "text/html") -> str:
    """A page or a file of it, as a browser gets it."""
    with client.get(path) as answer:
        assert answer.status_code == status, (path, answer.status_code, answer.location)
        assert answer.mimetype == kind
        return str(answer.get_data(as_text=True))


def words(shown: str) -> str:
    """What a page says, without its markup."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", shown, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def heading(shown: str) -> str:
    """What the H1 says."""
    found = re.findall(r"<h1[^>]*>(.*?)</h1>", shown, flags=re.DOTALL)
    assert len(found) == 1
    return words(found[0]).strip()


def send(client: FlaskClient, path: str, at: str, **given: Any) -> Any:
    """Send a form from a page, with the token that the page has."""
    token = re.findall(r'name="csrf" value="([^"]+)"', page(client, at))[0]
    kind = "multipart/form-data"
    return client.post(path, data={"csrf": token, **given}, content_type=kind)


def do(app: Flask, job_id: str) -> None:
    """Do what a job asks for, here, as a worker would in a process of its own."""
    with app.app_context():
        make_request(store(), dict(jobs().get(job_id).request))
