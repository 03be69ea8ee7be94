"""The OpenAPI document is the behavior: valid, complete, and true for generated requests."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from doors import DATABASES, LIMITS, PATH, PROBLEM_KEYS, catalogue, database_of
from shelfwise.columns import COLUMNS
from shelfwise.metrics import METRICS
from shelfwise.service import close, create_app
from shelfwise.service.access import SCREENS
from shelfwise.service.openapi import document
from shelfwise.settings import load_settings
from shelfwise.store.query import FILTERS

jsonschema_rs = pytest.importorskip("jsonschema_rs")
schemathesis = pytest.importorskip("schemathesis")

HOME = tempfile.TemporaryDirectory()  # What is generated here must not meet other tests.
APP = create_app(load_settings({}, data_dir=Path(HOME.name), **LIMITS))
DOCUMENT: dict[str, Any] = APP.test_client().get("/openapi.json").get_json()
SCHEMAS = DOCUMENT["components"]["schemas"]
CONFIG = schemathesis.Config()


@schemathesis.serializer(
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
    "application/jsonl",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
def as_bytes(_: Any, value: Any) -> bytes:
    """Whatever is generated for these media, as bytes."""
    if isinstance(value, bytes):
        return value
    return bytes(getattr(value, "data", b"")) or str(value).encode("utf-8", "replace")


API = schemathesis.openapi.from_wsgi("/openapi.json", APP, config=CONFIG)
OPERATION = DOCUMENT["paths"][PATH]["post"]


def validator(name: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def walk(value: Any, path: str = "") -> Any:
    yield path, value
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from walk(item, f"{path}/{key}")


def test_the_document_has_the_shape_of_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert set(DOCUMENT) == {"openapi", "info", "paths", "components"}
    for path, item in DOCUMENT["paths"].items():
        assert path.startswith("/")
        for operation in item.values():
            assert operation["responses"]
            for status, response in operation["responses"].items():
                assert status.isdigit()
                assert response["description"]
            for parameter in operation.get("parameters", []):
                assert {"name", "in", "schema", "description"} <= parameter.keys()
    for schema in SCHEMAS.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema"}
                                    | schema)  # fmt: skip


def test_every_reference_leads_somewhere() -> None:
    references = [v for path, v in walk(DOCUMENT) if path.endswith("/$ref")]
    assert references
    for reference in references:
        found: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_its_columns_are_those_of_the_contract() -> None:
    product = SCHEMAS["Product"]
    assert list(product["properties"]) == [column.name for column in COLUMNS]
    assert product["required"] == [column.name for column in COLUMNS if column.required]
    for column in COLUMNS:
        schema = product["properties"][column.name]
        assert column.meaning in schema["description"]
        limits = [v for path, v in walk(schema) if path.endswith(("/minimum", "/maximum"))]
        if column.kind == "number":
            assert limits == [v for v in (column.low, column.high) if v is not None]
        if column.kind in ("id", "text"):
            lengths = [v for path, v in walk(schema) if path.endswith("/maxLength")]
            assert lengths == [column.max_length]


def test_every_metric_is_described() -> None:
    described = SCHEMAS["ScoredProduct"]["properties"]
    for metric in METRICS:
        assert metric.meaning in described[metric.name]["description"]


def test_every_route_stands_in_the_document() -> None:
    pages = {"/openapi.json", "/docs", "/static/<path:filename>"}
    seen: list[tuple[str, str]] = []
    for rule in APP.url_map.iter_rules():
        if rule.rule not in pages and rule.endpoint not in SCREENS:
            methods = {method.lower() for method in rule.methods or ()} - {"head", "options"}
            path = re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule)
            assert methods <= set(DOCUMENT["paths"][path])
            seen += [(path, method) for method in methods]
    declared = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item]
    assert sorted(seen) == sorted(declared)


def test_problems_are_described_with_every_key() -> None:
    assert SCHEMAS["Problem"]["required"] == PROBLEM_KEYS
    for status in ("400", "401", "403", "404", "413", "415", "422"):
        content = OPERATION["responses"][status]["content"]
        assert list(content) == ["application/problem+json"]


def test_the_example_of_the_document_works(client: FlaskClient) -> None:
    example = OPERATION["requestBody"]["content"]["application/json"]["example"]
    assert client.post(PATH, json=example).status_code == 200


ANSWERS = {
    "plain": ({}, ""),
    "every optional column": (
        {"net_revenue": 5.5, "unit_cost": 1, "category": None, "launch_date": "2026-01-31",
         "discontinued": False, "currency": "EUR"}, "?profile=margin"),
    "explained": ({}, "?explain=1&period_days=30&precision=full"),
    "kept keys": ({"x": [1]}, "?extra=keep"),
    "skipped": ({"name": "a"}, "?on_error=skip"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "query"), ANSWERS.values(), ids=ANSWERS)
def test_answers_fit_their_schema(client: FlaskClient, change: dict[str, Any], query: str) -> None:
    rows = catalogue(*(change | {"price": n + 1} for n in range(12)))
    if "skip" in query:
        rows = rows[:-1] + b", 5]"
    answer = client.post(PATH + query, data=rows, content_type="application/json")
    assert answer.status_code == 200
    assert list(validator("Answer").iter_errors(answer.json)) == []
    dry = client.post(f"{PATH}?dry_run=1&on_error=skip", data=rows, content_type="application/json")
    assert list(validator("Valid").iter_errors(dry.json)) == []


def test_problems_fit_their_schema(client: FlaskClient) -> None:
    for answer in (client.post(PATH, json=[5]), client.get("/nope"), client.get(PATH)):
        assert list(validator("Problem").iter_errors(answer.json)) == []


def _plain_id(value: Any) -> Any:
    """In JSON 7.0 is the integer 7."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def breaks_a_rule_across_rows(body: Any) -> bool:
    """What no schema of one row can say, and the description of the operation does.

    A product stands once: 1 and "1" are the same, and with `location` the pair counts.
    All currencies are the same.
    """
    if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
        return False
    by_location = any("location" in row for row in body)
    identities = {
        f"{_plain_id(row.get('product_id'))} {by_location and (row.get('location') or '')}"
        for row in body
    }
    currencies = {str(row["currency"]) for row in body if row.get("currency")}
    return len(identities) < len(body) or len(currencies) > 1


def needs_another_column(case: Any) -> bool:
    """profile=margin asks for unit_cost, which is optional otherwise: a rule of two places."""
    query = case.query if isinstance(case.query, dict) else {}
    rows = case.body if isinstance(case.body, list) else []
    return query.get("profile") == "margin" and any(
        row.get("unit_cost") is None for row in rows if isinstance(row, dict)
    )


def names_a_model(case: Any) -> bool:
    """A well-formed id of a model that this server was not started with is a 404."""
    return isinstance(case.query, dict) and "model" in case.query


def needs_what_is_kept(case: Any) -> bool:
    """A filter or an order by a column that the products of a run do not have is a 422.

    So are the parameters of a model that no fit could have made.
    """
    query = case.query if isinstance(case.query, dict) else {}
    parameters = isinstance(case.body, dict) and "parameters" in case.body
    # So is a place that the settings do not open, an upload that is none, a cron or a time
    # zone that is none, a last day before the first; a folder that nothing may go to; a path
    # that leads nowhere.
    kept = {"source", "run", "run_id", "cron", "time_zone", "last_day", "to", "path"}
    source = isinstance(case.body, dict) and bool(case.body.keys() & kept)
    asked = query.keys() & {"sort", "label", *FILTERS}
    # They need a product_id, and a database.
    source = source or case.path in ("/v1/history", "/v1/connect/superset.zip")
    return bool(asked) or parameters or source or case.path == "/v1/uploads"


def is_no_plain_json(case: Any) -> bool:
    """Bytes of CSV or Parquet have no schema here; and 30.0 is no whole number for us."""
    values = case.body.values() if isinstance(case.body, dict) else ()
    other = case.media_type not in (None, "application/json")
    policy = case.body.get("policy") if isinstance(case.body, dict) else None
    settings_ = policy.values() if isinstance(policy, dict) else ()
    # A setting that is a number may well be 0.5; where it is a whole one, 30.0 is refused.
    whole = any(_has_whole_float(value) for value in settings_)
    return other or whole or any(isinstance(value, float) for value in values)


def _has_whole_float(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return any(map(_has_whole_float, value))
    return isinstance(value, float) and value.is_integer()


def mends(case: Any) -> bool:
    """on_error=skip and repair exist to accept what the schema of a row forbids."""
    query = case.query if isinstance(case.query, dict) else {}
    return query.get("on_error") in ("skip", "repair")


@pytest.fixture(scope="module", params=DATABASES)
def app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application that is asked, on each database."""
    if request.param == "sqlite":
        yield APP
        return
    with tempfile.TemporaryDirectory() as home:
        given = {"data_dir": Path(home), "database_url": database_of(request)}
        made = create_app(load_settings({}, **given, **LIMITS))
        yield made
        close(made)


@API.parametrize()
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_generated_requests_get_what_the_document_says(case: Any, app: Flask) -> None:
    from schemathesis.specs.openapi import checks

    excluded: list[Callable[..., Any]] = []
    rules = (needs_another_column, names_a_model, needs_what_is_kept, is_no_plain_json)
    if breaks_a_rule_across_rows(case.body) or any(rule(case) for rule in rules):
        excluded.append(checks.positive_data_acceptance)
    if mends(case):
        excluded.append(checks.negative_data_rejection)
    case.call_and_validate(app=app, excluded_checks=excluded)


def test_the_document_is_the_same_each_time(client: FlaskClient) -> None:
    first, second = (client.get("/openapi.json") for _ in range(2))
    assert first.data == second.data
    assert json.loads(first.data) == DOCUMENT


def test_the_document_has_what_any_request_may_get() -> None:
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            if operation["security"] == [{}]:
                continue
            wanted = {"400", "401", "403", "422", "429"}
            if method == "get" and path != "/metrics":
                wanted.add("304")
            assert wanted <= set(operation["responses"]), (method, path)
