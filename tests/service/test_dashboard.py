"""The pages of the dashboard as they come from the server, without a browser."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import HOSTILE, page

from kinds import shop
from shelfwise import analyze
from shelfwise.service import close, create_app, store
from shelfwise.service.access import SCREENS
from shelfwise.settings import load_settings
from shelfwise.texts import TEXTS, text

KEY = "a-key-of-sixteen-letters"
TEMPLATES = Path(__file__).parents[2] / "src/shelfwise/service"
App = Callable[..., Flask]
WEEK = dt.timedelta(weeks=1)


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
    files = [*TEMPLATES.glob("templates/dashboard/*.html"), *TEMPLATES.glob("dashboard/*.py"),
             *TEMPLATES.parent.glob("charts/*.py"), *TEMPLATES.parent.glob("reports/**/*.py"),
             *TEMPLATES.parent.glob("reports/*.html")]  # fmt: skip
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
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
    assert "robust" in page(client, "/profiles?with=nice", 422)


def listed(shown: str) -> list[str]:
    """The ids of the products of the list, in its order."""
    return re.findall(r'<th scope="row"><a class="name" href="/product\?id=([^"&]*)', shown)


@pytest.mark.parametrize("filters", ["search=o", "tier=High", "category=Tea", "sort=name"])
def test_a_list_is_walked_to_its_end_and_back_to_its_begin(app_with: App, filters: str) -> None:
    rows = shop(1_200)  # More than 40 pages.
    for number, row in enumerate(rows):
        row |= {"name": f"Good {number}", "category": ("Tea", "Pot")[number % 7 == 0]}
    client = app_with(rows).test_client()
    walked, back, path = [], [], f"/products?{filters}"
    while path:
        shown = page(client, path)
        walked.append((listed(shown), re.findall(r'role="status">([^<]*)', shown)[0]))
        following = re.findall(r'rel="next" href="([^"]*)"', shown)
        path = following[0].replace("&amp;", "&") if following else ""
    ids = [one for some, _ in walked for one in some]
    assert len(ids) == len(set(ids)) > 75
    place = 0
    for some, told in walked:
        assert told.startswith(f"{place + 1:,}\N{EN DASH}{place + len(some):,} of {len(ids):,} ")
        place += len(some)
    while True:
        back.append((listed(shown), re.findall(r'role="status">([^<]*)', shown)[0]))
        if not (before := re.findall(r'rel="prev" href="([^"]*)"', shown)):
            break
        shown = page(client, before[0].replace("&amp;", "&"))
    assert back == walked[::-1]


@pytest.mark.parametrize("filters", ["", "tier=Low", "sort=name", "search=nothing+is+called+so"])
def test_beyond_the_end_is_the_last_page(app_with: App, filters: str) -> None:
    client = app_with(shop(60)).test_client()
    shown = page(client, f"/products?{filters}&after=9999999999")
    if "nothing" in filters:
        assert text("products.none") in shown
    else:
        assert listed(shown)
        assert f"\N{EN DASH}{12 if 'Low' in filters else 60} of" in shown


def test_a_tier_set_by_hand_is_the_one_that_is_filtered_by(app_with: App) -> None:
    client = app_with(shop(60)).test_client()
    best = listed(page(client, "/products"))[:4]
    given = form(client, "/") | {"id": best[0], "tier": "Low", "reason": "Season"}
    assert client.post("/override", data=given).status_code == 302
    assert best[0] not in listed(page(client, "/products?tier=High"))
    low = page(client, "/products?tier=Low")
    assert listed(low)[0] == best[0]
    assert "13 products match" in low
    told = page(client, "/products.csv?tier=Low", kind="text/csv").splitlines()
    assert len(told) == 1 + 13
    assert "_tier" not in told[0].split(",")
    # It is a neighbor of the fourth, in the same category, which says so, too.
    shown = page(client, f"/product?id={best[3]}")
    assert re.search(r"Low <small>set by hand</small>", shown)


def test_every_filter_that_counts_has_a_field(app_with: App) -> None:
    rows = shop(600)
    for number, row in enumerate(rows):
        row |= {"supplier": f"S{number}", "brand": "Own"}
    client = app_with(rows).test_client()
    shown = page(client, "/products?supplier=S3")
    assert "1 product matches" in shown
    assert re.search(r'<input[^>]* name="supplier" list="l-supplier" value="S3"', shown)
    assert shown.count('<option value="S') == 500
    # One brand leaves nothing to choose; no column of this run has a field for numbers.
    shown = page(client, "/products?brand=Own&product_id=7&sort=name")
    for name, value in (("brand", "Own"), ("product_id", "7")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in shown
    assert (
        'href="/products?product_id=7&amp;sort=name" aria-label="Without the filter Brand"' in shown
    )
    assert '<option selected value="Nope">' in page(client, "/products?tier=Nope")


@pytest.mark.parametrize(
    "path", ["/products", "/product?id=1", "/inventory", "/suppliers", "/campaigns", "/data",
             "/method"],
)  # fmt: skip
def test_forms_and_files_stay_with_the_run_that_is_shown(app_with: App, path: str) -> None:
    app = app_with(shop(20))
    run = store(app).runs.get()
    shown = page(app.test_client(), path)
    there = re.findall(r'<form method="post" action="([^"]*)"', shown)
    there = [one for one in there if one not in ("/theme", "/data")]
    there += re.findall(r'href="(/[^"]*\.(?:csv|xlsx|parquet|json)[^"]*)"', shown)
    assert there or path == "/data"
    assert all(f"run={run.id}" in one for one in there), there


def test_a_run_that_arrives_meanwhile_gets_nothing_of_the_form(app_with: App) -> None:
    app = app_with(shop(20))
    client = app.test_client()
    run = store(app).runs.get()
    shown = page(client, "/product?id=1")
    store(app).runs.save(analyze(shop(20), period=28))
    there = re.findall(r'action="(/override[^"]*)"', shown)[0]
    token = re.findall(r'name="csrf" value="([^"]+)"', shown)[0]
    given = {"csrf": token, "id": "1", "tier": "High", "reason": "Season"}
    with client.post(there, data=given) as answer:
        assert f"run={run.id}" in answer.location


def test_guesses_of_keys_are_counted_by_address(app_with: App) -> None:
    app = app_with(shop(20), api_key=KEY, rate_limit=3, behind_proxy=True)
    client = app.test_client()
    given = form(client, "/sign-in") | {"key": "a guess"}
    one, other = ({"X-Forwarded-For": f"10.0.0.9, 203.0.113.{n}"} for n in (7, 8))
    answers = [client.post("/sign-in", data=given, headers=one) for _ in range(5)]
    # A minute may end between two of them.
    assert {answer.status_code for answer in answers} <= {403, 429}
    assert answers[3].status_code == 429 or answers[4].status_code == 429 or (
        {answer.headers["RateLimit-Remaining"] for answer in answers} >= {"2", "1"}
    )  # fmt: skip
    assert all("RateLimit-Remaining" in answer.headers for answer in answers)
    assert client.post("/sign-in", data=given, headers=other).status_code == 403


ODD = ("\u00b2", "9" * 5_000, "-1", "1e999", "inf", "'<b>%00/..")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, decided: Callable[..., Path]) -> Iterator[Flask]:
    """A store with a run and all that is made of it, for questions that make no sense."""
    folder = decided(tmp_path_factory.mktemp("odd"))
    app = create_app(load_settings({}, data_dir=folder / "data"))
    store(app).derived.make("latest", "orders")
    yield app
    close(app)


@pytest.mark.parametrize("value", ODD, ids=lambda value: ascii(value)[:12])
@pytest.mark.parametrize("endpoint", sorted(SCREENS))
def test_no_question_is_too_odd_for_a_page(odd: Flask, endpoint: str, value: str) -> None:
    client = odd.test_client()
    asked = ("after", "trail", "run", "view", "sort", "since", "work", "id", "location", "with",
             "tier", "trend", "answer", "supplier", "search", "flag", "as", "new")  # fmt: skip
    token = form(client, "/sign-in")
    rules = [rule for rule in odd.url_map.iter_rules() if rule.endpoint == endpoint]
    assert rules
    for rule in rules:
        parts = [dict.fromkeys(rule.arguments, "csv" if "format" in rule.arguments else "x")]
        if rule.arguments:
            parts.append(dict.fromkeys(rule.arguments, value.replace("/", "")[:100]))
        for given in parts:
            _, path = rule.build(given) or ("", rule.rule)
            if "GET" in (rule.methods or ()):
                for name in asked:
                    with client.get(path, query_string={name: value}) as answer:
                        assert answer.status_code < 500, (path, name)
            if "POST" in (rule.methods or ()):
                fields = dict.fromkeys((*asked, *POSTED), value)
                for told in (
                    {},
                    {
                        "verdict": "accepted",
                        "id": "100",
                        "action": "reorder",
                        "place": "inventory",
                        "make": "inventory",
                        "view": "plan",
                    },
                ):
                    # Sending signs out or sets a theme; the token lives on in neither.
                    with client.post(path, data=fields | told | token) as answer:
                        assert answer.status_code < 500, (path, told)
                    token = form(client, "/sign-in")


POSTED = ("amount", "proposed", "reason", "verdict", "action", "cash", "min_order_value", "budget",
          "days", "fixed_cost", "assumed_uplift", "margin_floor", "discounts", "start", "until",
          "end", "days_apart", "policy.review_days", "make", "place", "cancel", "again", "key",
          "theme", "next", "period_days", "max_rejected")  # fmt: skip


def test_by_clusters_no_cut_of_the_score_is_said_to_decide(app_with: App) -> None:
    app = app_with()
    run = store(app).runs.save(analyze(shop(60), tiering="kmeans", period=28))
    assert run.model.cut_high is not None
    client = app.test_client()
    for row in store(app).runs.products(run).collect().to_dicts()[::12]:
        shown = page(client, f"/product?id={row['product_id']}")
        assert text("product.why.cluster", tier=row["performance_tier"]) in shown
        assert "points short of" not in shown
        assert "High begins at" not in shown
        assert "would make it High" not in shown
    assert "Here High begins" not in page(client, "/method")


def test_profiles_are_compared_with_the_tiers_that_the_run_has(app_with: App) -> None:
    app = app_with()
    client = app.test_client()
    rows = shop(60)
    mine = analyze(rows, tiering="kmeans", period=28)
    other = analyze(rows, profile="robust", tiering="kmeans", period=28)
    store(app).runs.save(mine)
    moved = {
        name: (before, after) for name, before, after in zip(
            mine.products["name"], mine.products["performance_tier"],
            other.products["performance_tier"], strict=True)
        if before != after
    }  # fmt: skip
    assert moved
    shown = page(client, "/profiles?with=robust")
    assert text("profiles.title", n=len(moved), name="robust") in shown
    found = re.findall(r"<bdi>(.*?)</bdi></a></td><td class=\"number\">.*?</i>(\w+)</span></td>"
                       r"<td>.*?</i>(\w+)</span>", shown)  # fmt: skip
    assert {name: (before, after) for name, before, after in found} == moved
    # A model of other products gives tiers that a new fit would not.
    store(app).runs.save(analyze(rows[:30], model=analyze(rows, period=28).model))
    kept = store(app).runs.products().collect().select("product_id", before="performance_tier")
    fresh = analyze(rows[:30], profile="robust").products.select("product_id", "performance_tier")
    both = kept.join(fresh, on="product_id")
    changed = both.filter(pl.col("before").cast(pl.String) != pl.col("performance_tier"))
    shown = page(client, "/profiles?with=robust")
    assert text("profiles.title", n=changed.height, name="robust") in shown


def test_scores_of_other_profiles_tierings_and_later_runs_are_no_history(app_with: App) -> None:
    app = app_with()
    client = app.test_client()
    day = dt.date(2026, 5, 1)
    runs = [
        store(app).runs.save(analyze(shop(30 + n), period=28, **more), as_of=day + n * WEEK)
        for n, more in enumerate([{}, {"profile": "robust"}, {"tiering": "kmeans"}, {}, {}])
    ]  # fmt: skip
    shown = page(client, f"/product?id=1&run={runs[3].id}")
    scores = [store(app).runs.products(run).filter(pl.col("product_id") == 1)
              .select("performance_score").collect().item() for run in runs]  # fmt: skip
    assert "for each run of the profile standard" in shown
    assert (f"It scores {scores[3]:.1f} in the last of 2 runs, and {scores[0]:.1f} in the "
            "first.") in shown  # fmt: skip
    alone = page(client, f"/product?id=1&run={runs[1].id}")
    assert text("product.history.none", profile="robust") in alone


def test_an_id_in_several_locations_asks_which(app_with: App) -> None:
    rows = [row | {"location": place, "units_sold": n * (2 if place == "A" else 1)}
            for n, row in enumerate(shop(20), 1) for place in ("A", "<b>", None)]  # fmt: skip
    client = app_with(rows).test_client()
    shown = page(client, "/product?id=3")
    assert text("product.places.lead") in shown
    links = re.findall(r'class="name" href="(/product[^"]+)"', shown)
    assert len(links) == 3
    for link in links:
        one = page(client, link.replace("&amp;", "&"))
        assert "Why it scores" in one
    assert "<bdi>A</bdi>" in page(client, "/product?id=3&location=A")
    assert "Why it scores" in page(app_with(shop(20)).test_client(), "/product?id=3&location=")


@pytest.mark.parametrize("path", ["/", "/products", "/profiles"])
def test_the_lead_names_the_profile(app_with: App, path: str) -> None:
    shown = page(app_with(shop(60)).test_client(), path)
    lead = re.findall(r'<p class="lead">(.*?)</p>', shown, re.DOTALL)[0]
    assert text("run.profile", name="standard") in lead


def test_nothing_to_reorder_is_not_priced(app_with: App) -> None:
    rows = [row | {"unit_cost": 1.0, "stock": 9_000} for row in shop(20)]
    app = app_with(rows)
    store(app).derived.make(store(app).runs.get(), "inventory")
    client = app.test_client()
    for path in ("/", "/inventory"):
        tile = re.findall(rf'<span class="label">{text("kpi.reorder")}</span>(.*?)</li>',
                          page(client, path))[0]  # fmt: skip
        assert "<strong>0</strong>" in tile
        assert text("kpi.reorder.note", money="").strip() not in tile


def test_every_number_of_a_page_is_written_as_its_reader_writes(
    app_with: Callable[..., Flask],
) -> None:
    app = app_with(locale="de_DE")
    store(app).runs.save(analyze(shop(1_234)))
    for path in ("/", "/products", "/data", "/method"):
        shown = page(app.test_client(), path)
        assert "1.234" in shown
        assert "1,234" not in shown
