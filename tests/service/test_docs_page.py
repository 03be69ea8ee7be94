"""The page for people: it renders under its own policy, and what it shows to copy works."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from doors import PATH, ClientDoor, Door, LiveDoor
from shelfwise.columns import COLUMNS

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """The tags of a page, and the text of each element that has an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("id")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, name in self.open:
            if name:
                self.texts[name] = self.texts.get(name, "") + data


def page_of(door: Door, **headers: str) -> Page:
    answer = door(path="/docs", method="GET", headers=headers)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.body.decode())


def test_the_page_shows_calls_in_four_languages(door: Door) -> None:
    page = page_of(door)
    assert page.open == []
    assert {"curl", "python", "javascript", "php"} <= page.texts.keys()
    assert all(PATH in page.texts[name] for name in ("curl", "python", "javascript", "php"))


def test_the_page_names_every_column_and_parameter(door: Door) -> None:
    text = door(path="/docs", method="GET").body.decode()
    document = door(path="/openapi.json", method="GET").ok()
    operation = document["paths"][PATH]["post"]
    for name in (
        *(column.name for column in COLUMNS),
        *(parameter["name"] for parameter in operation["parameters"]),
        *document["components"]["schemas"]["ScoredProduct"]["properties"],
        *operation["responses"].keys() - {"200"},
    ):
        assert f">{name}<" in text


def test_the_page_obeys_its_own_policy(door: Door) -> None:
    page = page_of(door)
    for tag, attributes in page.tags:
        assert tag not in ("style", "iframe", "object", "base", "form")
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert (attributes["src"] or "").startswith("/static/")
        if tag == "link":
            assert (attributes["href"] or "").startswith("/static/")
    assert not re.search(r"<script[^>]*>[^<]", door(path="/docs", method="GET").body.decode())


def test_what_the_page_loads_is_there(door: Door) -> None:
    for tag, attributes in page_of(door).tags:
        link = attributes.get("src") or (attributes.get("href") if tag in ("link", "a") else None)
        if link:
            assert link.startswith("/")
            assert door(path=link, method="GET").status == 200


def test_the_page_says_its_language_and_headings(door: Door) -> None:
    tags = page_of(door).tags
    assert ("html", {"lang": "en"}) in tags
    assert [tag for tag, _ in tags].count("h1") == 1
    assert any(attributes.get("name") == "viewport" for _, attributes in tags)


HOSTS = ['"><script>alert(1)</script>', "<img src=x onerror=alert(1)>", "a'b", "a`$(id)`",
         "a\\nb", "evil.example/x?y#"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_a_hostile_host_cannot_put_markup_or_commands_into_the_page(
    client_of: Callable[..., FlaskClient], host: str
) -> None:
    # hosts="*" answers to any name: then only escaping stands between a name and the page.
    door = ClientDoor(client_of(hosts=("*",)))
    expected = [tag for tag, _ in page_of(door).tags]
    answer = door(path="/docs", method="GET", headers={"Host": host})
    if answer.status != 200:
        assert answer.status == 400
        return
    page = Page(answer.body.decode())
    assert [tag for tag, _ in page.tags] == expected
    # The command line still has one address and one body, whatever the name was.
    words = shlex.split(page.texts["curl"].replace("\\\n", " "))
    assert words[:2] == ["curl", "-s"]
    assert len(words) == 7
    assert "`" not in page.texts["curl"]


def test_a_hostile_host_is_refused_by_default(door: Door) -> None:
    for host in HOSTS:
        door(path="/docs", method="GET", headers={"Host": host}).problem(400)


def test_the_curl_call_works(door: Door) -> None:
    words = shlex.split(page_of(door).texts["curl"].replace("\\\n", " "))
    url, header, body = words[2], words[4], words[6]
    assert (words[3], words[5]) == ("-H", "-d")
    assert url.startswith("http://")
    name, _, value = header.partition(": ")
    answer = door(body.encode(), path="/" + url.split("/", 3)[3], headers={name: value}).ok()
    assert answer["data"][0]["revenue"] == 29998.5


def test_the_python_call_works(live: LiveDoor) -> None:
    program = page_of(live).texts["python"]
    assert f'"{live.url}{PATH}"' in program
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"no_proxy": "*"},
    )
    assert ended.stderr == ""
    lines = ended.stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("Desk lamp ")


def test_the_other_calls_carry_the_same_body(door: Door) -> None:
    page = page_of(door)
    body = json.loads(shlex.split(page.texts["curl"].replace("\\\n", " "))[6])
    script = re.search(r"const products = (\[.*\]);", page.texts["javascript"])
    php = re.search(r"json_decode\('(\[.*\])', true\)", page.texts["php"])
    assert script
    assert php
    assert json.loads(script.group(1)) == json.loads(php.group(1)) == body


def test_the_page_shows_the_address_it_was_asked_by(door: Door) -> None:
    page = page_of(door, Host="localhost:4321")
    assert "http://localhost:4321/product-analysis" in page.texts["curl"]


def test_the_page_names_every_endpoint(client: FlaskClient) -> None:
    text = client.get("/docs").get_data(as_text=True)
    document = client.get("/openapi.json").get_json()
    for path, item in document["paths"].items():
        for method in item:
            assert path == PATH or f"{method.upper()} {path}" in text
