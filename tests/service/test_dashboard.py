"""The pages of the dashboard as they come from the server, without a browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import HOSTILE, page

from kinds import shop
from shelfwise import analyze
from shelfwise.service import close, create_app, store
from shelfwise.service.dashboard.texts import TEXTS, text
from shelfwise.settings import load_settings

KEY = "a-key-of-sixteen-letters"
TEMPLATES = Path(__file__).parents[2] / "src/shelfwise/service"
App = Callable[..., Flask]


@pytest.fixture
def app_with(tmp_path: Path) -> Iterator[App]:
    """Make an application whose store has a run of some rows."""
    made: list[Flask] = []

    def make(rows: list[dict[str, Any]] | None = None, **settings: Any) -> Flask:
        app = create_app(load_settings({}, data_dir=tmp_path / "data", **settings))
        if rows:
            store(app).runs.save(analyze(rows, period=28), label="Spring")
        made.append(app)
        return app

    yield make
    for app in made:
        close(app)


def products(names: tuple[str, ...] = HOSTILE) -> list[dict[str, Any]]:
    rows = shop(60)
    for row, name in zip(rows, names, strict=False):
        row["name"] = name
        row["category"] = name[:40]
    return rows


def test_without_a_run_the_overview_says_how_to_get_one(app_with: App) -> None:
    shown = page(app_with().test_client(), "/")
    assert text("empty.title") in shown


@pytest.mark.parametrize("path", ["/", "/products", "/product?id=1"])
def test_every_page_says_which_run_profile_and_period_it_shows(app_with: App, path: str) -> None:
    shown = page(app_with(shop(60)).test_client(), path)
    for told in ("Spring", "Profile standard", "4 weeks to", "60 products"):
        assert told in shown


@pytest.mark.parametrize("path", ["/", "/products", "/product?id=1", "/products?sort=name"])
def test_hostile_names_stay_text(app_with: App, path: str) -> None:
    shown = page(app_with(products()).test_client(), path)
    assert "<img src=x" not in shown
    assert "<script>alert" not in shown
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", shown)


def test_products_are_searched_filtered_and_sorted(app_with: App) -> None:
    rows = products(())
    rows[7] |= {"name": "Blue Lamp", "category": "Light"}
    client = app_with(rows).test_client()
    found = page(client, "/products?search=blue+lamp")
    assert "1 product matches" in found
    assert "Blue Lamp" in found
    by_name = page(client, "/products?sort=name")
    assert 'aria-sort="ascending"' in by_name
    names = re.findall(r'<a class="name"[^>]*><bdi>(.*?)</bdi>', by_name)
    assert names == sorted(names)
    assert text("products.none") in page(client, "/products?search=nothing+is+called+so")


def test_pages_lead_to_the_end_and_back(app_with: App) -> None:
    client = app_with(shop(60)).test_client()
    seen, path, back = [], "/products", []
    for _ in range(5):
        shown = page(client, path)
        seen += re.findall(r'href="/product\?id=([^"&]*)', shown)
        back += re.findall(r'rel="prev" href="([^"]*)"', shown)[-1:]
        following = re.findall(r'rel="next" href="([^"]*)"', shown)
        if not following:
            break
        path = following[0].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 60
    first = page(client, back[0].replace("&amp;", "&"))
    assert re.findall(r'href="/product\?id=([^"&]*)', first) == seen[:25]


def test_a_file_has_exactly_what_the_filter_leaves(app_with: App) -> None:
    client = app_with(shop(60)).test_client()
    with client.get("/products.csv?tier=High") as answer:
        lines = answer.get_data(as_text=True).strip().splitlines()
    assert "attachment" in answer.headers["Content-Disposition"]
    assert len(lines) == 1 + 12


def test_a_product_shows_why_it_scores_so(app_with: App) -> None:
    client = app_with(shop(60)).test_client()
    run = store(client.application).runs.get()
    best = store(client.application).runs.products(run).head(1).collect().to_dicts()[0]
    shown = page(client, f"/product?id={best['product_id']}")
    assert f"Why it scores {best['performance_score']:.1f}" in shown
    assert "It is High." in shown
    assert f"{best['contribution_revenue']:.1f} of 50" in shown


@pytest.mark.parametrize(
    ("path", "status"),
    [("/product?id=nobody", 404), ("/products?sort=nope", 422), ("/products?after=x", 422),
     ("/?run=nope", 404), ("/products?trend=rising", 422)],
)  # fmt: skip
def test_what_does_not_fit_is_a_page_that_says_so(app_with: App, path: str, status: int) -> None:
    shown = page(app_with(shop(20)).test_client(), path, status)
    assert text("error.home") in shown


def form(client: FlaskClient, path: str) -> dict[str, str]:
    return {"csrf": re.findall(r'name="csrf" value="([^"]+)"', page(client, path))[0]}


def test_a_tier_is_set_by_hand_shown_and_ended(app_with: App) -> None:
    client = app_with(shop(20)).test_client()
    given = form(client, "/product?id=1") | {"id": "1", "tier": "High", "reason": "Season <b>"}
    assert client.post("/override", data=given).status_code == 302
    shown = page(client, "/product?id=1")
    assert "set by hand" in shown
    assert "Season &lt;b&gt;" in shown
    assert "set by hand" in page(client, "/products")
    ended = re.findall(r'name="end" value="([^"]+)"', shown)[0]
    client.post("/override", data=form(client, "/product?id=1") | {"id": "1", "end": ended})
    assert "set by hand" not in page(client, "/products")


def test_a_form_without_the_token_of_its_session_is_refused(app_with: App) -> None:
    client = app_with(shop(20)).test_client()
    given = {"id": "1", "tier": "High", "reason": "Season"}
    assert text("error.form_expired") in client.post("/override", data=given).get_data(as_text=True)
    given |= form(client, "/product?id=1")
    other = client.application.test_client()
    assert other.post("/override", data=given).status_code == 403


def test_a_key_opens_the_pages_and_signing_out_closes_them(app_with: App) -> None:
    client = app_with(shop(20), api_key=KEY).test_client()
    with client.get("/products?sort=name") as answer:
        assert answer.location == "/sign-in?next=/products%3Fsort%3Dname"
    wrong = form(client, "/sign-in") | {"key": "not the key"}
    assert client.post("/sign-in", data=wrong).status_code == 403
    right = form(client, "/sign-in") | {"key": KEY, "next": "/products?sort=name"}
    with client.post("/sign-in", data=right) as answer:
        assert answer.location == "/products?sort=name"
        cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    page(client, "/products")
    client.post("/sign-out", data=form(client, "/products"))
    assert client.get("/products").status_code == 302


@pytest.mark.parametrize("path", ["https://evil.example", "//evil.example", "/\\evil", "x"])
def test_signing_in_leads_to_no_other_site(app_with: App, path: str) -> None:
    client = app_with(shop(20), api_key=KEY).test_client()
    given = form(client, "/sign-in") | {"key": KEY, "next": path}
    with client.post("/sign-in", data=given) as answer:
        assert answer.location == "/"


def test_a_key_without_a_scope_reads_and_changes_nothing(app_with: App) -> None:
    app = app_with(shop(20), api_key=KEY)
    key, _ = store(app).keys.create("reader", ["read"])
    client = app.test_client()
    client.post("/sign-in", data=form(client, "/sign-in") | {"key": key})
    shown = page(client, "/product?id=1")
    assert text("product.override.set") not in shown
    given = form(client, "/product?id=1") | {"id": "1", "tier": "High", "reason": "Season"}
    assert client.post("/override", data=given).status_code == 403
    store(app).keys.revoke(key[4:12])
    assert client.get("/products").status_code == 302


def test_a_session_opens_no_door_of_the_api(app_with: App) -> None:
    client = app_with(shop(20), api_key=KEY).test_client()
    client.post("/sign-in", data=form(client, "/sign-in") | {"key": KEY})
    assert client.get("/v1/runs").status_code == 401


def test_a_theme_is_remembered(app_with: App) -> None:
    client = app_with(shop(20)).test_client()
    assert "data-theme" not in page(client, "/")
    client.post("/theme", data=form(client, "/") | {"theme": "dark", "next": "/products"})
    assert '<html lang="en" data-theme="dark">' in page(client, "/")


def test_what_draws_is_kept_by_browsers_for_good(app_with: App) -> None:
    client = app_with(shop(20)).test_client()
    shown = page(client, "/")
    for path in re.findall(r'(?:src|href)="(/assets/[^"]+)"', shown):
        with client.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["Content-Encoding"] == "gzip"


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    files = [*TEMPLATES.glob("templates/dashboard/*.html"), *TEMPLATES.glob("dashboard/*.py")]
    source = "\n".join(file.read_text(encoding="utf-8") for file in files
                       if file.name != "texts.py")  # fmt: skip
    used = set(re.findall(r'(?<![a-z_])(?:t|text)\(\s*"([a-z_.0-9A-Z]+)"', source))
    used |= set(re.findall(r'"([a-z_]+\.[a-z_.]+)" if', source))
    used |= set(re.findall(r'else "([a-z_]+\.[a-z_.]+)"', source))
    made = {f"{start}" for start in re.findall(r'(?<![a-z_])(?:t|text)\(f?"([a-z_.]+\.)', source)}
    assert {key for key in used if not key.endswith(".")} <= TEXTS.keys()
    unused = {key for key in TEXTS if key not in used and not key.startswith(tuple(made))}
    assert unused == set()


def test_browsers_may_say_that_a_form_is_ours(app_with: App) -> None:
    # Under no-referrer they send `Origin: null` with it, and it would be refused.
    client = app_with(shop(20)).test_client()
    with client.get("/") as answer:
        assert answer.headers["Referrer-Policy"] == "same-origin"
    given = form(client, "/") | {"theme": "dark"}
    with client.post("/theme", data=given, headers={"Origin": "http://localhost"}) as answer:
        assert answer.status_code == 302
    with client.get("/v1/runs") as answer:
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_another_profile_is_one_click_away_where_this_one_misleads(app_with: App) -> None:
    rows = shop(60)
    rows[0] |= {"name": "Giant", "units_sold": 90_000.0}
    client = app_with(rows).test_client()
    shown = page(client, "/")
    assert "Giant alone sets the top of the scale of revenue" in shown
    link = re.search(r'href="(/profiles\?with=robust[^"]*)"', shown)
    assert link
    compared = page(client, link[1])
    expected = analyze(rows, period=28).compare("robust")
    assert text("profiles.title", n=expected.changed.height, name="robust") in compared
    for name in expected.changed["name"].head(50):
        assert name in compared


def test_a_scale_that_several_products_reach_is_not_warned_of(app_with: App) -> None:
    assert "alone sets the top" not in page(app_with(shop(60)).test_client(), "/")


def test_a_profile_that_cannot_be_used_says_what_it_needs(app_with: App) -> None:
    client = app_with(shop(60)).test_client()
    shown = page(client, "/profiles?with=margin")
    assert text("profiles.title.impossible", name="margin") in shown
    assert "unit_cost" in shown
    assert "There is no profile nice" in page(client, "/profiles?with=nice", 422)
