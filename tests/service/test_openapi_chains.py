"""Requests that build on each other, along the links of the document: none is a failure of ours.

What was made is found, what was deleted is gone, and each answer is the one that is described.
"""

import re
import secrets
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings

from doors import DATABASES, LIMITS, database_of
from kinds import shop
from postgresql import Server, drop_database, new_database
from shelfwise.insights.sections import QUESTIONS
from shelfwise.service import close, create_app
from shelfwise.settings import load_settings

schemathesis = pytest.importorskip("schemathesis")
from schemathesis.engine.link_calibration import LinkCalibrationState  # noqa: E402  (may be away)
from schemathesis.generation.feedback import NO_FEEDBACK  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

HOME = tempfile.TemporaryDirectory()  # What is generated here must not meet other tests.
FOLDER = Path(HOME.name)


def application(folder: Path, database_url: str = "") -> Flask:
    """The application on a store in a folder; it may read what is in `open`."""
    given = {"data_dir": folder, "database_url": database_url, "sources": (str(FOLDER / "open"),),
             "delivery_folders": (str(FOLDER / "out"),)}  # fmt: skip
    return create_app(load_settings({}, **given, **LIMITS))


APP = application(FOLDER / "kept")
DOCUMENT: dict[str, Any] = APP.test_client().get("/openapi.json").get_json()
API = schemathesis.openapi.from_wsgi("/openapi.json", APP, config=schemathesis.Config())
OPERATIONS = {
    operation["operationId"]: operation
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
}
LINKS = [
    (operation["operationId"], status, name, link)
    for operation in OPERATIONS.values()
    for status, answer in operation["responses"].items()
    for name, link in answer.get("links", {}).items()
]
CSV = "product_id,name,price,units_sold,stock\n" + "".join(
    f"{row['product_id']},{row['name']},{row['price']},{row['units_sold']},{row['stock']}\n"
    for row in shop(12)
)


def schema_at(schema: Any, pointer: str) -> Any:
    """The schema of what a pointer into an answer leads to."""
    for step in pointer.split("/")[1:]:
        while "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        schema = schema["items"] if step.isdigit() else schema["properties"][step]
    return schema


def pointers(value: Any) -> list[str]:
    """The places in an answer that a link takes something from."""
    if isinstance(value, dict):
        return [found for item in value.values() for found in pointers(item)]
    return re.findall(r"\$response\.body#(\S+)", str(value))


@pytest.mark.parametrize(("source", "status", "name", "link"), LINKS)
def test_a_link_leads_from_what_an_answer_has_to_what_an_operation_takes(
    source: str, status: str, name: str, link: dict[str, Any]
) -> None:
    target = OPERATIONS[link["operationId"]]
    assert name == link["operationId"]
    taken = {one["name"] for one in target.get("parameters", [])}
    assert link.get("parameters", {}).keys() <= taken
    schema = OPERATIONS[source]["responses"][status]["content"]["application/json"]["schema"]
    found = pointers(link)
    assert found
    for pointer in found:
        assert "type" in schema_at(schema.get("anyOf", [schema])[0], pointer)


def test_what_is_made_can_be_looked_at_by_a_link() -> None:
    made = {source for source, status, _, _ in LINKS if status in ("201", "202")}
    # A decision stands in its list alone.
    assert made | {"add_decision"} == {
        operation["operationId"]
        for operation in OPERATIONS.values()
        if {"201", "202"} & operation["responses"].keys()
    }


def fill(client: FlaskClient) -> None:
    """Make one of each thing, so that each list has something that a link can lead to."""
    (FOLDER / "open").mkdir(exist_ok=True)
    (FOLDER / "open" / "shop.csv").write_text(CSV, encoding="utf-8")
    rows = [*shop(12), {"product_id": "bad"}]
    place = {"source": {"place": str(FOLDER / "open" / "shop.csv")}}
    for path, body in (
        ("/product-analysis?save=1&on_error=skip", rows),
        ("/v1/models", {"name": "shop", "run": "latest"}),
        ("/v1/runs", place),
        ("/v1/schedules", {"name": "weekly", "cron": "0 6 * * 1", "run": place}),
        ("/v1/keys", {"name": "till", "scopes": ["read"]}),
        ("/v1/runs/latest/deliveries", {"to": [{"folder": str(FOLDER / "out")}]}),
    ):
        assert client.post(path, json=body).status_code < 300, path


def what_no_schema_says(case: Any) -> None:
    """Give a request what makes it a good one: a file with products, a cron, an open folder."""
    if case.operation.label == "POST /v1/uploads":
        case.body, case.media_type = CSV.encode(), "text/csv"
    asked = case.operation.label.rpartition("/")[2]
    if case.operation.method.upper() == "POST" and asked in QUESTIONS:
        # Bodies are generated where single requests are; here it matters where links lead.
        case.body = {"since": "latest"} if QUESTIONS[asked].compares else {}
    if case.operation.label == "POST /v1/runs" and isinstance(case.body, dict):
        case.body.pop("model", None)
        if isinstance(source := case.body.get("source"), dict) and "upload" in source:
            source.pop("place", None)  # A link adds its part to what is made up.
    if case.operation.label == "POST /v1/schedules" and isinstance(case.body, dict):
        place = str(FOLDER / "open" / "shop.csv")
        case.body |= {"cron": "0 6 * * 1", "time_zone": "UTC", "run": {"source": {"place": place}},
                      "deliver": [], "make": None}  # fmt: skip
    if case.operation.label.endswith("/deliveries") and isinstance(case.body, dict):
        case.body = {"to": [{"folder": str(FOLDER / "out")}]}


class Followed(LinkCalibrationState):
    """Each link is followed with what it gives; by default schemathesis throws dice over it."""

    def use_probability(self, transition_id: str) -> float:
        return 1.0

    def is_calibrated(self, transition_id: str) -> bool:
        return True


@dataclass(frozen=True)
class Filled:
    """A store with one of each thing, which each chain gets a copy of."""

    folder: Path
    server: Server | None = None
    database_url: str = ""

    def copy(self, folder: Path) -> Flask:
        """The application on a copy, in a folder that is not there yet."""
        shutil.copytree(self.folder, folder)
        if not self.server:
            return application(folder)
        template = self.database_url.rpartition("/")[2]
        return application(folder, new_database(self.server, template))

    def drop(self, app: Flask) -> None:
        """Remove a copy."""
        close(app)
        if self.server:
            drop_database(self.server, app.config["SHELFWISE"].database_url)
        shutil.rmtree(app.config["SHELFWISE"].data_dir)


def chain(paths: str, filled: Filled) -> Any:
    """A machine that makes chains of requests to some paths."""
    known = API.include(path_regex=paths)

    class Chain(known.build_state_machine(feedback=NO_FEEDBACK, link_calibration=Followed())):  # type: ignore[misc]
        """One chain of requests, on a store that is as new at its beginning."""

        reached: ClassVar[Counter[str]] = Counter()
        """Operation, and how often one got a success with what an answer before it had."""

        def setup(self) -> None:
            self.app = filled.copy(Path(HOME.name) / secrets.token_hex(8))

        def teardown(self) -> None:
            filled.drop(self.app)

        def before_call(self, case: Any) -> None:
            what_no_schema_says(case)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"app": self.app}

        def validate_response(self, response: Any, case: Any, *_: Any, **given: Any) -> None:
            # Whether a single request is taken or refused rightly is tested without chains.
            excluded = [checks.positive_data_acceptance, checks.negative_data_rejection]
            if case.path.startswith("/v1/jobs/"):
                excluded.append(checks.use_after_free)  # DELETE cancels a job, which stays.
            case.validate_response(
                response, excluded_checks=excluded, recorder=self.recorder, transport_kwargs=given
            )
            if response.status_code < 300 and self.recorder.find_parent(case_id=case.id):
                self.reached[case.operation.definition.raw["operationId"]] += 1

    return Chain


RUN = "/v1/runs/[{]run_id[}]"
MAKING = f"{RUN}/(publish|trends|forecast|elasticity|{'|'.join(QUESTIONS)})$"
# Which paths a chain asks, and patterns of operations that it must get somewhere with.
CHAINS: dict[str, tuple[str, set[str]]] = {
    "runs": (f"analysis|^(/v1/runs|{RUN}|/v1/history)$", {"get_run", "change_run"}),
    "tables": (f"^(?!{MAKING})(/v1/runs$|{RUN}/)", {"run_rejected", "list_derived"}),
    "decisions": (f"^(/v1/runs$|{MAKING})", {"decide_.*"}),
    "models": (f"^(/v1/models|{RUN}$)", {"get_model", "point_alias"}),
    "uploads": ("^/v1/(uploads|jobs|runs$)", {"get_upload", "get_job"}),
    "schedules": ("^/v1/(schedules|jobs)", {"get_schedule", "trigger_schedule"}),
    "deliveries": (
        f"^(/v1/runs$|/v1/deliveries|{RUN}/deliveries)",
        {"add_deliveries", "get_delivery"},
    ),
    "keys": ("^/v1/(keys|audit)", {"rotate_key", "revoke_key"}),
}
"""Paths that belong together, and operations that a link must have led to.

Few doors stand in each: steps are chosen among them, and many alike would take them all.
"""


@pytest.fixture(scope="module", params=DATABASES)
def filled(request: pytest.FixtureRequest) -> Filled:
    found = Filled(FOLDER / request.param, database_url=database_of(request))
    if found.database_url:
        found = replace(found, server=request.getfixturevalue("postgresql"))
    app = application(found.folder, found.database_url)
    fill(app.test_client())
    close(app)
    return found


@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_requests_get_what_the_document_says(name: str, filled: Filled) -> None:
    paths, wanted = CHAINS[name]
    machine = chain(paths, filled)
    machine.run(
        settings=settings(
            max_examples=20, stateful_step_count=12, derandomize=True, deadline=None,
            database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )
    )  # fmt: skip
    for name in wanted:
        assert any(re.fullmatch(name, one) for one in machine.reached), machine.reached
