"""What each bad input gets, through the test client and through the real server."""

import gzip
import json
import socket
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient

from doors import LIMITS, PATH, PRODUCT, ClientDoor, Door, LiveDoor, catalogue, products, raw
from shelfwise.engines.records import KEPT_REJECTED
from shelfwise.service.media import INCOMING

GZIP: dict[str, str | None] = {"Content-Encoding": "gzip"}
DEEP = "[" * 200_000 + "]" * 200_000
ONE = catalogue({})
ROOM = LIMITS["max_body_bytes"]


@dataclass(frozen=True)
class Case:
    """A request and the problem that it gets: status, JSON pointers, pieces of the detail."""

    body: bytes
    status: int
    pointers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    query: str = ""
    headers: dict[str, str | None] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)


def unreadable(body: bytes, *texts: str, **more: Any) -> Case:
    return Case(body, 400, texts=texts, **more)


def members(count: int) -> bytes:
    """One product in so many gzip members: a byte in each, nothing when none is left."""
    pieces = [*(ONE[n : n + 1] for n in range(count - 1)), ONE[count - 1 :]]
    return b"".join(map(gzip.compress, pieces))


def wrong(change: dict[str, Any], column: str, *texts: str) -> Case:
    """One product with one wrong cell."""
    return Case(catalogue(change), 422, (f"/0/{column}",), texts)


def offset(body: bytes, piece: bytes) -> str:
    return f"byte {body.index(piece)}"


NOT_JSON = {
    "empty body": unreadable(b"", "byte 0"),
    "blanks only": unreadable(b" \n\t ", "byte 4"),
    "a word": unreadable(b"hello", "byte 0"),
    "cut short": unreadable(ONE[:30], "byte 30"),
    "trailing junk": unreadable(ONE + b" x", f"byte {len(ONE) + 1}"),
    "a second array": unreadable(ONE + ONE, f"byte {len(ONE)}"),
    "trailing comma": unreadable(ONE[:-1] + b",]", "byte"),
    "single quotes": unreadable(ONE.replace(b'"', b"'"), "byte 2"),
    "a comment": unreadable(b"/* */" + ONE, "byte 0"),
    "leading zero": unreadable(raw("2.5", "02"), "byte"),
    "NaN": unreadable(raw("2.5", "NaN"), offset(raw("2.5", "NaN"), b"NaN")),
    "Infinity": unreadable(raw("2.5", "Infinity"), offset(raw("2.5", "Infinity"), b"Inf")),
    "-Infinity": unreadable(raw("2.5", "-Infinity"), "byte"),
    "NaN in an unknown key": unreadable(raw(more=', "x": NaN'), "byte"),
    "lines of JSON": unreadable(ONE[1:-1] + b"\n" + ONE[1:-1] + b"\n", "Lines of JSON", "byte"),
    "invalid UTF-8 in a name": unreadable(
        ONE.replace(b"Lamp", b"\xff"), offset(ONE.replace(b"Lamp", b"\xff"), b"\xff")
    ),
    "invalid UTF-8 in an unknown value": unreadable(
        raw(more=', "x": "?"').replace(b"?", b"\xc3("), "byte"
    ),
    "invalid UTF-8 in a key": unreadable(raw(more=', "?": 1').replace(b"?", b"\xff"), "byte"),
    "latin-1": unreadable('[{"name": "Café"}]'.encode("latin-1"), "byte"),
    "UTF-16": unreadable(ONE.decode().encode("utf-16"), "byte 0"),
    "UTF-16 without a mark": unreadable(ONE.decode().encode("utf-16-le"), "byte"),
    "UTF-32": unreadable(ONE.decode().encode("utf-32"), "byte 0"),
    "lone surrogate as escape": unreadable(raw("Lamp", "\\ud800"), "byte"),
    "lone surrogate as bytes": unreadable(raw("Lamp", "\ud800"), "byte"),
    "lone surrogate in a key": unreadable(raw(more=', "\\ud800": 1'), "byte"),
    "two byte order marks": unreadable(b"\xef\xbb\xbf" * 2 + ONE, "byte 0"),
    "NUL as it is": unreadable(ONE.replace(b"Lamp", b"L\x00mp"), "byte"),
    "deep brackets": unreadable(b"[" * 200_000, "nested too deeply"),
    "deep and closed": unreadable(DEEP.encode(), "nested too deeply"),
    "deep objects": unreadable(b'{"a":' * 150_000, "nested too deeply"),
    "deep in an unknown key": unreadable(raw(more=f', "x": {DEEP}'), "nested too deeply"),
    "deep beside a wrong row": unreadable(
        raw("2.5", "-1", more=f', "x": {DEEP}'), "nested too deeply"
    ),
    "deep beside a huge number": unreadable(
        raw("2.5", "9" * 5_000, more=f', "x": {DEEP}'), "nested too deeply"
    ),
    "deep as a product": unreadable(b"[" + ONE[1:-1] + b"," + DEEP.encode() + b"]", "deeply"),
    "deep, collecting errors": unreadable(
        raw("2.5", "-1", more=f', "x": {DEEP}'), "deeply", query="?on_error=skip"
    ),
}

NOT_PRODUCTS = {
    "no rows": Case(b"[]", 422, ("",)),
    "no rows, blanks": Case(b" [ ] ", 422, ("",)),
    "an object": Case(b"{}", 422, ("",), ("array",)),
    "a product without array": Case(ONE[1:-1], 422, ("",), ("array",)),
    "null": Case(b"null", 422, ("",), ("array",)),
    "a text": Case(b'"x"', 422, ("",), ("array",)),
    "a number": Case(b"1", 422, ("",), ("array",)),
    "array of a number": Case(b"[1]", 422, ("/0",), ("object",)),
    "array of null": Case(b"[null]", 422, ("/0",), ("object",)),
    "array of an array": Case(b"[[]]", 422, ("/0",), ("object",)),
    "a number between products": Case(ONE[:-1] + b",7]", 422, ("/1",), ("object",)),
    "an empty object": Case(
        b"[{}]", 422, ("/0/product_id", "/0/name", "/0/price", "/0/units_sold", "/0/stock")
    ),
}

WRONG_CELLS = {
    "price 1e400": Case(raw("2.5", "1e400"), 422, ("/0/price",)),
    "price -1e400": Case(raw("2.5", "-1e400"), 422, ("/0/price",)),
    "price 1e-7": wrong({"price": 1e-7}, "price", "1e-06 or more"),
    "price 1e13": wrong({"price": 1e13}, "price", "or less"),
    "price of 10,000 digits": Case(raw("2.5", "9" * 10_000), 422, ("/0/price",)),
    "units 1e16": wrong({"units_sold": 1e16}, "units_sold", "or less"),
    "stock 1e16": wrong({"stock": 10**16}, "stock", "or less"),
    "id 2^63": wrong({"product_id": 2**63}, "product_id", "64 bits"),
    "id 2^64": wrong({"product_id": 2**64}, "product_id", "64 bits"),
    "id below -2^63": wrong({"product_id": -(2**63) - 1}, "product_id", "64 bits"),
    "id of 10,000 digits": Case(raw('"product_id": 1', f'"product_id": {"9" * 10_000}'), 422,
                                ("/0/product_id",)),
    "id 1.5": wrong({"product_id": 1.5}, "product_id"),
    "id true": wrong({"product_id": True}, "product_id"),
    "id null": wrong({"product_id": None}, "product_id", "missing"),
    "id empty": wrong({"product_id": ""}, "product_id", "empty"),
    "id of 256 characters": wrong({"product_id": "x" * 256}, "product_id", "at most 255"),
    "name of 1,001 characters": wrong({"name": "x" * 1_001}, "name", "at most 1000"),
    "name a number": wrong({"name": 5}, "name", "text"),
    "name blank": wrong({"name": " \u00a0 "}, "name", "empty"),
    "name deep": Case(raw('"Lamp"', "[" * 500 + "]" * 500), 422, ("/0/name",)),
    "NUL in a name": wrong({"name": "a\x00b"}, "name", "U+0000"),
    "C0 control in a name": wrong({"name": "a\x1fb"}, "name", "U+001F"),
    "newline in a name": wrong({"name": "a\nb"}, "name", "U+000A"),
    "NUL in an id": wrong({"product_id": "a\x00"}, "product_id", "U+0000"),
    "true": wrong({"price": True}, "price"),
    "text 12": wrong({"price": "12"}, "price", "number"),
    "text 1,5": wrong({"price": "1,5"}, "price", "number"),
    "null": wrong({"stock": None}, "stock", "missing"),
    "negative": wrong({"stock": -3}, "stock", "0 or more"),
    "price 0": wrong({"price": 0}, "price", "or more"),
    "price -0.0": wrong({"price": -0.0}, "price", "or more"),
    "a list": wrong({"price": [2]}, "price"),
    "optional of a wrong kind": wrong({"category": [1]}, "category", "text"),
    "optional out of range": wrong({"lead_time_days": 4_000}, "lead_time_days", "3650"),
    "no boolean": wrong({"discontinued": "yes"}, "discontinued", "true or false"),
    "no date": wrong({"launch_date": "2026-02-30"}, "launch_date", "2026-01-31"),
    "date with more behind": wrong({"launch_date": "2026-01-31" + "x" * 300}, "launch_date"),
    "date with a control": wrong({"launch_date": "2026-01-31\x00"}, "launch_date"),
    "currency too long": wrong({"currency": "EURO"}, "currency"),
    "all at once": Case(
        json.dumps(
            [
                {"product_id": True, "name": None, "price": "12", "units_sold": -1, "stock": "1,5"},
                {"product_id": 2, "name": "", "price": 0, "units_sold": None},
            ]
        ).encode(),
        422,
        ("/0/product_id", "/0/name", "/0/price", "/0/units_sold", "/0/stock",
         "/1/name", "/1/price", "/1/units_sold", "/1/stock"),
    ),
    "the same id twice": Case(
        catalogue({"product_id": 7}, {}, {"product_id": 7}), 422, ("/0/product_id", "/2/product_id")
    ),
    "1 and the text 1": Case(
        catalogue({"product_id": 1}, {"product_id": "1"}), 422, ("/0/product_id", "/1/product_id")
    ),
    "the same id at the same location": Case(
        catalogue({"product_id": 7, "location": "a"}, {"product_id": "7", "location": "a"}),
        422,
        ("/0/product_id", "/1/product_id"),
    ),
    "the same long id twice": Case(
        catalogue({"product_id": "x" * 255}, {"product_id": "x" * 255}),
        422,
        ("/0/product_id", "/1/product_id"),
    ),
    "last of two equal keys": Case(
        raw('"price": 2.5', '"price": 2, "price": -1'), 422, ("/0/price",)
    ),
    "mixed currencies": Case(
        catalogue({"currency": "EUR"}, {"currency": "USD"}), 422, texts=("EUR", "USD")
    ),
    "all rows bad, skip": Case(catalogue({"price": -1}), 422, ("/0/price",),
                               query="?on_error=skip"),
    "not to be repaired": Case(catalogue({"price": "1,234"}), 422, ("/0/price",),
                               query="?on_error=repair"),
    "dry run of bad rows": Case(catalogue({"price": -1}), 422, ("/0/price",), query="?dry_run=1"),
    "profile wants a column": Case(ONE, 422, ("/0/unit_cost",), query="?profile=margin"),
}  # fmt: skip

WRONG_MEDIA = {
    kind: Case(ONE, 415, headers={"Content-Type": kind or None},
               answers={"accept": ", ".join(INCOMING)})
    for kind in ("", "text/plain", "text/html", "application/x-www-form-urlencoded",
                 "application/vnd.api+json", "application/json; charset=latin-1",
                 "application/json; charset=utf-16", "a/" + "b" * 500)
} | {
    f"encoding {coding[:20]}": Case(ONE, 415, headers={"Content-Encoding": coding},
                                    answers={"accept-encoding": "gzip"})
    for coding in ("deflate", "br", "zstd", "gzip, gzip", "q" * 500)
} | {
    "gzip cut short": unreadable(gzip.compress(ONE)[:-5], "gzip",
                                 headers=GZIP),
    "gzip that is none": unreadable(ONE, "gzip", headers=GZIP),
    "gzip with a wrong checksum": unreadable(gzip.compress(ONE)[:-8] + b"\0" * 8, "gzip",
                                             headers=GZIP),
    "gzip with junk behind": unreadable(gzip.compress(ONE) + b"junk", "gzip",
                                        headers=GZIP),
    "gzip of nothing": unreadable(b"", "gzip", headers=GZIP),
    "gzip of 101 members": unreadable(members(101), "gzip", "more than 100 members", headers=GZIP),
    "gzip of many empty members": unreadable(
        gzip.compress(b"") * 10_000 + gzip.compress(ONE), "more than 100 members", headers=GZIP
    ),
    "gzip bomb": Case(gzip.compress(b" " * 60 * ROOM), 413, texts=(f"{ROOM:,}",),
                      headers=GZIP),
    "gzip bomb in many parts": Case(gzip.compress(b" " * (ROOM // 2)) * 10, 413,
                                    headers=GZIP),
    "one byte too many": Case(b" " * (ROOM + 1), 413),
    "twice too large": Case(b" " * 2 * ROOM, 413),
    "too many rows": Case(
        catalogue(*({} for _ in range(LIMITS["max_rows"] + 1))), 413, texts=("3,001", "3,000")
    ),
    "too many rows, all bad": Case(b"[" + b"1," * LIMITS["max_rows"] + b"1]", 413),
}  # fmt: skip

WRONG_QUERIES = {
    query: Case(ONE, status, query=f"?{query}", texts=texts)
    for query, status, texts in (
        ("format=csv", 422, ("format",)),
        ("save_=1", 422, ("save_",)),
        ("=1", 422, ()),
        ("%ff=1", 422, ()),
        ("a%00=1", 422, ()),
        ("x" * 500 + "=1", 422, ()),
        ("profile=best", 422, ("best", "standard, robust, margin")),
        ("profile=" + "y" * 500, 422, ("standard, robust, margin",)),
        ("profile=", 422, ("standard",)),
        ("profile=robust&profile=robust", 422, ("profile", "2 times")),
        ("tiering=deciles", 422, ("quota, kmeans",)),
        ("on_error=ignore", 422, ("reject, skip, repair",)),
        ("extra=1", 422, ("keep",)),
        ("explain=true", 422, ("0, 1",)),
        ("precision=6", 422, ("full",)),
        ("dry_run=yes", 422, ("0, 1",)),
        ("period_days=0", 422, ("period_days",)),
        ("period_days=-7", 422, ()),
        ("period_days=nan", 422, ()),
        ("period_days=inf", 422, ()),
        ("period_days=1e9", 422, ()),
        ("period_days=week", 422, ("week",)),
        ("period_days=1_0", 422, ()),
        ("period_days=%D9%A3", 422, ()),
        ("model=abc", 404, ("abc",)),
        ("model=" + "z" * 500, 422, ("model",)),
    )
}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def assert_repeats_little(document: Any, sent: str) -> None:
    """No text of the answer holds 101 characters in a row of what was sent."""
    for text in strings(document):
        for start in range(len(text) - 100):
            assert text[start : start + 101] not in sent


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=(name or "none")[:40])
        for group in (NOT_JSON, NOT_PRODUCTS, WRONG_CELLS, WRONG_MEDIA, WRONG_QUERIES)
        for name, case in group.items()
    ],
)
def test_bad_input_gets_a_problem_that_says_where(door: Door, case: Case) -> None:
    answer = door(case.body, path=PATH + case.query, headers=case.headers)
    document = answer.problem(case.status)
    if case.pointers:
        assert [error["pointer"] for error in document["errors"]] == list(case.pointers)
        assert document["error_count"] == len(case.pointers)
    said = " ".join(strings(document))
    assert [text for text in case.texts if text not in said] == []
    assert {name: answer.headers.get(name) for name in case.answers} == case.answers
    sent = f"{case.body.decode('utf-8', 'replace')} {case.query} {case.headers}"
    assert_repeats_little(document, sent)


PATHS = ["/nope", f"{PATH}/", f"{PATH}/..", f"{PATH}/../livez", "/../etc/passwd",
         "/%2e%2e/%2e%2e/etc/passwd", "/static/../app.py", "/static/%2e%2e/app.py",
         "/static/..%2f..%2fapp.py", "/static/", f"{PATH}%00", "/v1/jobs/%00", "/%ff",
         "/%3Cscript%3Ealert(1)%3C/script%3E", "/" + "a" * 500]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:30])
def test_an_unknown_path_is_not_found(door: Door, path: str) -> None:
    document = door(path=path, method="GET", headers={"Content-Type": None}).problem(404)
    assert_repeats_little(document, path)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "FOO"])
def test_a_wrong_method_is_told_the_right_one(door: Door, method: str) -> None:
    answer = door(method=method, headers={"Content-Type": None})
    answer.problem(405)
    assert answer.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs", "/openapi.json"])
def test_nothing_can_be_posted_to_a_page(door: Door, path: str) -> None:
    answer = door(path=path)
    answer.problem(405)
    assert "GET" in answer.headers["allow"]


def test_a_body_that_just_fits_is_read(door: Door) -> None:
    assert door(ONE + b" " * (ROOM - len(ONE))).ok()["summary"]["products"] == 1


@pytest.mark.parametrize("size", [len(ONE), ROOM // 2, ROOM])
def test_a_chunked_body_within_the_limit_is_read_whole(door: Door, size: int) -> None:
    body = ONE + b" " * (size - len(ONE))
    assert door(body, chunked=True).ok()["summary"]["products"] == 1


@pytest.mark.parametrize("size", [ROOM + 1, ROOM + 70_000, 3 * ROOM])
def test_a_chunked_body_over_the_limit_is_refused_and_never_cut(door: Door, size: int) -> None:
    # Its first product alone would be a valid catalogue, if the blanks behind were cut off.
    door(ONE + b" " * (size - len(ONE)), chunked=True).problem(413)


def test_an_empty_chunked_body_is_no_json(door: Door) -> None:
    door(b"", chunked=True).problem(400)


def test_a_bad_chunk_gets_a_problem(live: LiveDoor) -> None:
    with socket.create_connection(live.address, timeout=30) as client:
        lines = [f"POST {PATH} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
        lines.append("Transfer-Encoding: chunked")
        client.sendall("\r\n".join([*lines, "", "zz", ""]).encode())
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_ends_early_is_refused(client: FlaskClient) -> None:
    response = client.post(
        PATH,
        input_stream=BytesIO(ONE),
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": str(len(ONE) + 5)},
    )
    assert response.status_code == 400
    assert "ended after" in response.json["detail"]


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that Python takes for work that has been done once before."""
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_takes_little_memory(client: FlaskClient) -> None:
    bomb = gzip.compress(b" " * 100 * ROOM)
    assert peak_bytes(lambda: ClientDoor(client)(bomb, headers=GZIP).problem(413)) < ROOM + 2**20


# The status, and the memory allowed: so many times the size of the body. To count an empty
# object takes 24 bytes for its 3; to keep the text of any row takes more than 60.
SHORT_ROWS = {
    "numbers": (b"0", 422, 1),
    "nulls": (b"null", 422, 1),
    "empty texts": (b'""', 422, 1),
    "empty arrays": (b"[]", 422, 1),
    "empty objects": (b"{}", 413, 10),
}


@pytest.mark.parametrize(("row", "status", "times"), SHORT_ROWS.values(), ids=SHORT_ROWS)
@pytest.mark.parametrize("first", [b"", ONE[1:-1] + b","], ids=["alone", "behind a product"])
def test_too_many_rows_are_refused_before_they_take_memory(
    client: FlaskClient, first: bytes, row: bytes, status: int, times: int
) -> None:
    body = b"[" + first + row + (b"," + row) * ((ROOM - 200) // (len(row) + 1)) + b"]"
    assert peak_bytes(lambda: ClientDoor(client)(body).problem(status)) < times * len(body)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "identity"])
def test_a_packed_body_gets_the_same_answer(door: Door, coding: str) -> None:
    body = ONE if coding == "identity" else gzip.compress(ONE)
    assert door(body, headers={"Content-Encoding": coding}).ok() == door(ONE).ok()


@pytest.mark.parametrize("count", [2, 100])
def test_gzip_of_up_to_100_members_is_one_body(door: Door, count: int) -> None:
    assert door(members(count), headers=GZIP).ok() == door(ONE).ok()


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf8"'],
)
def test_json_in_utf8_is_taken_however_it_is_spelled(door: Door, kind: str) -> None:
    door(ONE, headers={"Content-Type": kind}).ok()


def test_a_byte_order_mark_is_stripped(door: Door) -> None:
    assert door(b"\xef\xbb\xbf" + ONE).ok() == door(ONE).ok()


@pytest.mark.parametrize(
    "changes",
    [
        [{}],
        [{}, {"price": 9}],
        [{}] * 3,
        [{}] * 12,
        [{}, {"price": 9}] * 6,
        [{"units_sold": 0, "stock": 0}] * 4,
        [{"price": 1e12, "units_sold": 10**15, "stock": 10**15}, {"price": 1e-6, "units_sold": 0}],
        [{"product_id": 2**63 - 1}, {"product_id": -(2**63)}],
        [{"product_id": "x" * 255, "name": "é" * 1_000}],
    ],
    ids=["one", "two", "three equal", "all equal", "two kinds", "nothing", "extremes", "ids",
         "long"],
)  # fmt: skip
def test_few_or_equal_rows_are_scored(door: Door, changes: list[dict[str, Any]]) -> None:
    answer = door(catalogue(*changes)).ok()
    assert answer["summary"]["products"] == len(answer["data"]) == len(changes)
    assert all(0 <= product["performance_score"] <= 100 for product in answer["data"])


def test_neither_stock_nor_sales_is_a_ratio_of_zero_and_flagged(door: Door) -> None:
    (product,) = door(catalogue({"units_sold": 0, "stock": 0})).ok()["data"]
    assert (product["stock_ratio"], product["flags"]) == (0, ["no_sales", "never_stocked"])


def test_fractions_of_units_and_whole_floats_are_fine(door: Door) -> None:
    text = door(catalogue({"units_sold": 3.7, "stock": 150.0})).body
    assert b'"units_sold":3.7,"stock":150.0,' in text


def test_the_last_of_two_equal_keys_counts(door: Door) -> None:
    for first in ("1", "-1", '"x"'):
        body = raw('"price": 2.5', f'"price": {first}, "price": 2')
        assert door(body).ok()["data"][0]["price"] == 2


def test_the_same_product_may_stand_in_two_locations(door: Door) -> None:
    body = catalogue({"product_id": 7, "location": "a"}, {"product_id": 7, "location": "b"})
    assert door(body).ok()["summary"]["products"] == 2


NAMES = ["' OR 1=1--", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "+1", "-1", "@x",
         "\u202egnp.exe\u2066", "a\u2028b", "\\\"}]", "{{7*7}}", "%s%n", "../../etc", "👩‍👩‍👧",
         "é", "e\u0301", "\x7f\x85", "null", " padded "]  # fmt: skip


def test_hostile_names_come_back_as_they_are(door: Door) -> None:
    answer = door(catalogue(*({"name": name, "category": name} for name in NAMES))).ok()
    assert [product["name"] for product in answer["data"]] == NAMES
    assert [product["category"] for product in answer["data"]] == NAMES
    assert answer["summary"]["top_product"] == NAMES[0]


KEYS = ['say "hi"', "back\\slash", "tab\t", "\x00", "", "a.b", "f0", "é", "</script>", "\u2028",
        "_row", "_oversold", "_key", "status", "k" * 300]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_an_unknown_key_of_any_kind_is_dropped_and_counted(door: Door, key: str) -> None:
    answer = door(catalogue({key: 1}, {key: 2})).ok()
    assert key not in answer["data"][0]
    warnings = {warning["code"]: warning for warning in answer["warnings"]}
    assert "2" in warnings["unknown_keys_dropped"]["message"]
    assert_repeats_little(answer["warnings"], key)


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_an_unknown_key_of_any_kind_comes_back_on_request(door: Door, key: str) -> None:
    answer = door(catalogue({key: 1}, {key: "two"}, {}), path=f"{PATH}?extra=keep").ok()
    assert [product[key] for product in answer["data"]] == [1, "two", None]
    assert "unknown_keys_dropped" not in {warning["code"] for warning in answer["warnings"]}


KEYS_OVER_ROWS: dict[str, Callable[[int], bytes]] = {
    "in one product": lambda count: catalogue({f"k{n}": n for n in range(count)}),
    "one in each product": lambda count: catalogue(*({f"k{n}": n} for n in range(count))),
    "in three products": lambda count: catalogue(*[{f"k{n}": n for n in range(count)}] * 3),
    "behind a plain product": lambda count: catalogue({}, {f"k{n}": n for n in range(count)}),
}


@pytest.mark.parametrize("query", ["", "?extra=keep", "?on_error=skip", "?dry_run=1"])
@pytest.mark.parametrize("body", KEYS_OVER_ROWS.values(), ids=KEYS_OVER_ROWS)
def test_64_unknown_keys_are_fine_and_more_are_counted_and_refused(
    door: Door, body: Callable[[int], bytes], query: str
) -> None:
    door(body(64), path=PATH + query).ok()
    for count in (65, 1_200):
        detail = door(body(count), path=PATH + query).problem(422)["detail"]
        assert f"{count:,} different unknown keys" in detail


def test_64_unknown_keys_come_back(door: Door) -> None:
    keys = {f"k{n}": n for n in range(64)}
    (product,) = door(catalogue(keys), path=f"{PATH}?extra=keep").ok()["data"]
    assert {key: product.get(key) for key in keys} == keys


@pytest.mark.parametrize(
    "value", ["1e400", "-1e400", "9" * 10_000, f'{{"a": {"9" * 10_000}}}', "[1e400]"],
    ids=["1e400", "-1e400", "10,000 digits", "digits in an object", "in a list"],
)  # fmt: skip
@pytest.mark.parametrize("query", ["", "?extra=keep"])
def test_an_unknown_value_that_no_float_holds_is_no_failure_of_ours(
    door: Door, value: str, query: str
) -> None:
    answer = door(raw(more=f', "x": {value}'), path=PATH + query)
    if answer.status != 200:
        answer.problem(422)


@pytest.mark.parametrize("depth", [100, 900, 950, 980, 990, 1_000, 1_010, 1_050])
def test_any_depth_is_taken_or_refused(door: Door, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    for body in (raw(more=f', "x": {deep}'), raw("2.5", "-1", more=f', "x": {deep}')):
        for query in ("", "?extra=keep"):
            answer = door(body, path=PATH + query)
            assert answer.status in (200, 400, 422)
            if answer.status != 200:
                answer.problem(answer.status)


def too_deep(depth: int) -> dict[str, bytes]:
    """Bodies that are nested so deeply, in the places where a parser meets it."""
    deep = "[" * depth + "]" * depth
    return {
        "open": b"[" * depth,
        "closed": deep.encode(),
        "objects": b'{"a":' * (depth // 2),
        "unknown key": raw(more=f', "x": {deep}'),
        "beside a wrong cell": raw("2.5", "-1", more=f', "x": {deep}'),
    }


@pytest.mark.parametrize("query", ["", "?on_error=skip", "?extra=keep"])
@pytest.mark.parametrize("place", too_deep(1))
def test_what_is_nested_too_deeply_is_no_work(client: FlaskClient, place: str, query: str) -> None:
    """As many calls for 200,000 as for 20,000, and no more time than a flat body takes.

    Calls are counted, since they are the same on any machine. What goes on within one is
    compared with a body as long in which nothing is deep.
    """

    def ask(body: bytes) -> int:
        answer = client.post(PATH + query, data=body, content_type="application/json")
        return answer.status_code

    def calls(body: bytes) -> int:
        count = 0

        def counted(*_: object) -> None:
            nonlocal count
            count += 1

        before = sys.getprofile()
        sys.setprofile(counted)
        try:
            assert ask(body) == 400
        finally:
            sys.setprofile(before)
        return count

    def seconds(body: bytes) -> float:
        start = time.thread_time()
        ask(body)
        return time.thread_time() - start

    deep = too_deep(200_000)[place]
    assert ask(deep) == 400  # What the first request loads is no work of the second.
    assert calls(deep) <= 1.1 * calls(too_deep(20_000)[place])
    flat = raw(more=f', "x": [{"0," * (len(deep) // 2)}0]')
    assert ask(flat) == 200
    tries = [(seconds(deep), seconds(flat)) for _ in range(9)]
    assert min(one for one, _ in tries) <= 5 * min(other for _, other in tries)


def test_keys_that_name_a_result_are_ignored_with_a_warning(door: Door) -> None:
    for query in ("", "?extra=keep"):
        change = {"revenue": 9e9, "rank": 99, "flags": "x", "percentile": 1, "to_high": 2}
        answer = door(catalogue(change), path=PATH + query).ok()
        (product,) = answer["data"]
        assert (product["revenue"], product["rank"], product["flags"]) == (7.5, 1, [])
        assert "percentile" not in product
        warning = next(w for w in answer["warnings"] if w["code"] == "result_keys_ignored")
        assert all(key in warning["message"] for key in change)


def test_skip_scores_the_good_rows_and_gives_the_reasons(door: Door) -> None:
    body = json.dumps([*products({}, {"price": -1}, {}), 5]).encode()
    answer = door(body, path=f"{PATH}?on_error=skip").ok()
    assert [product["product_id"] for product in answer["data"]] == [1, 3]
    assert [row["pointer"] for row in answer["rejected"]] == ["/1/price", "/3"]
    assert answer["summary"]["skipped"] == 2
    assert "rows_skipped" in {warning["code"] for warning in answer["warnings"]}


def test_skip_sets_aside_a_product_that_stands_twice_each_time(door: Door) -> None:
    body = catalogue({"product_id": 9}, {}, {"product_id": "9"})
    answer = door(body, path=f"{PATH}?on_error=skip").ok()
    assert [product["product_id"] for product in answer["data"]] == [2]
    assert [row["pointer"] for row in answer["rejected"]] == ["/0/product_id", "/2/product_id"]


def test_repair_mends_what_is_certainly_meant_and_counts_it(door: Door) -> None:
    body = catalogue(
        {"price": "$4.50 ", "stock": -3}, {"price": "199.99"}, {"units_sold": "1.234,5"},
        {"price": "1,234"}, {"name": None},
    )  # fmt: skip
    answer = door(body, path=f"{PATH}?on_error=repair").ok()
    cells = [(p["price"], p["units_sold"], p["stock"]) for p in answer["data"]]
    assert cells == [(4.5, 3, 0), (199.99, 3, 4), (2.5, 1234.5, 4)]
    assert "oversold" in answer["data"][0]["flags"]
    assert [row["pointer"] for row in answer["rejected"]] == ["/3/price", "/4/name"]
    repaired = next(w for w in answer["warnings"] if w["code"] == "repaired")
    assert all(part in repaired["message"] for part in ("price in 2", "stock in 1"))


@pytest.mark.parametrize("mode", ["reject", "skip", "repair"])
def test_dry_run_only_checks(door: Door, mode: str) -> None:
    answer = door(catalogue({}, {"x": 1}), path=f"{PATH}?dry_run=1&on_error={mode}").ok()
    assert answer["status"] == "valid"
    assert (answer["products"], answer["skipped"], answer["rejected"]) == (2, 0, [])
    assert [warning["code"] for warning in answer["warnings"]] == ["unknown_keys_dropped"]


def test_dry_run_says_what_would_be_skipped(door: Door) -> None:
    answer = door(catalogue({}, {"price": 0}), path=f"{PATH}?dry_run=1&on_error=skip").ok()
    assert (answer["products"], answer["skipped"]) == (1, 1)
    assert answer["rejected"][0]["pointer"] == "/1/price"


def test_dry_run_says_what_would_be_repaired(door: Door) -> None:
    answer = door(catalogue({"price": "$2"}), path=f"{PATH}?dry_run=1&on_error=repair").ok()
    assert "repaired" in {warning["code"] for warning in answer["warnings"]}


BAD_ROWS: dict[str, tuple[Callable[[int], Any], list[str]]] = {
    "one bad cell": (lambda n: PRODUCT | {"product_id": n, "price": -1}, ["/price"]),
    "two bad cells": (
        lambda n: PRODUCT | {"product_id": n, "price": -1, "stock": None},
        ["/price", "/stock"],
    ),
    "the same id": (lambda n: PRODUCT, ["/product_id"]),
    "no products": (lambda n: n, [""]),
}


def bad_shop(bad: str) -> tuple[bytes, list[str]]:
    """A good product and 1,500 bad rows, and where each problem is."""
    row, ends = BAD_ROWS[bad]
    rows = [PRODUCT | {"product_id": "good"}, *map(row, range(1_500))]
    return json.dumps(rows).encode(), [f"/{n}{end}" for n in range(1, 1_501) for end in ends]


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_fifty_problems_are_listed_and_all_are_counted(door: Door, bad: str) -> None:
    body, pointers = bad_shop(bad)
    document = door(body).problem(422)
    assert [error["pointer"] for error in document["errors"]] == pointers[:50]
    assert document["error_count"] == len(pointers)
    assert f"{len(pointers):,} problems" in document["detail"]


@pytest.mark.parametrize("bad", BAD_ROWS)
@pytest.mark.parametrize("mode", ["skip", "repair"])
def test_a_thousand_reasons_are_given_and_all_skipped_rows_are_counted(
    door: Door, bad: str, mode: str
) -> None:
    body, pointers = bad_shop(bad)
    scored = door(body, path=f"{PATH}?on_error={mode}").ok()
    checked = door(body, path=f"{PATH}?on_error={mode}&dry_run=1").ok()
    assert [row["pointer"] for row in scored["rejected"]] == pointers[:1_000]
    assert checked["rejected"] == scored["rejected"]
    assert scored["summary"]["skipped"] == checked["skipped"] == 1_500
    assert scored["summary"]["products"] == checked["products"] == 1


def test_problems_beyond_those_kept_in_memory_are_counted(
    client_of: Callable[..., FlaskClient],
) -> None:
    rows = 20_001
    assert 5 * rows > KEPT_REJECTED
    body = b"[" + ONE[1:-1] + b",{}" * rows + b"]"
    ask = ClientDoor(client_of())
    assert ask(body).problem(422)["error_count"] == 5 * rows
    skipped = ask(body, path=f"{PATH}?on_error=skip").ok()
    assert skipped["summary"]["skipped"] == rows
    assert len(skipped["rejected"]) == 1_000


def test_an_error_inside_is_a_problem_without_a_trace(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret " + json.dumps(PRODUCT))

    monkeypatch.setattr("shelfwise.service.scoring.analyze_source", fail)
    answer = ClientDoor(client_of())(ONE)
    answer.problem(500)
    assert b"secret" not in answer.body
