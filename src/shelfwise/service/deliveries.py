"""/v1/runs/{run_id}/deliveries and /v1/deliveries: reports that go out."""

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, current_app, g

from shelfwise.delivery import targets, webhook
from shelfwise.errors import InputError
from shelfwise.service.access import audited
from shelfwise.service.contract import (
    BAD_BODY,
    STORE_ERRORS,
    answers,
    body_as,
    endpoint,
    json_answer,
    json_body,
    listed,
    query,
)
from shelfwise.service.kept import jobs, once, store
from shelfwise.settings import Settings
from shelfwise.store import Delivery

api = Blueprint("deliveries", __name__)
NO_RUN = {"404": "There is no such run."} | STORE_ERRORS
NO_DELIVERY = {"404": "There is no such delivery."} | STORE_ERRORS


class NewDeliveries(msgspec.Struct, forbid_unknown_fields=True):
    """Where the report of a run goes."""

    to: Annotated[targets.Targets, msgspec.Meta(min_length=1)]


def shown_target(target: dict[str, Any], schedule: str | None) -> dict[str, Any]:
    """A target; to an admin with the whole address of a webhook and the secret that signs."""
    settings: Settings = current_app.config["SHELFWISE"]
    secret = None
    if "webhook" in target and "admin" in g.scopes:
        secret = webhook.secret_of(settings, schedule, target["webhook"])
    return targets.shown(target, secret)


def shown(one: Delivery) -> dict[str, Any]:
    """A delivery as the API shows it."""
    return one.to_dict() | {"target": shown_target(dict(one.target), one.schedule)}


@endpoint(
    api, "GET", "/v1/runs/{run_id}/deliveries",
    scope="read",
    summary="Where the report of a run went or is to go, newest first.",
    description="`unknown`: the work was stopped while a mail was handed over, so it may have "
    "arrived. It is not sent again by itself. Whole addresses of webhooks are for admins.",
    answers=answers("DeliveryPage", "The deliveries."),
    errors=NO_RUN,
)  # fmt: skip
def list_deliveries(run_id: str) -> Response:
    """The deliveries of a run."""
    query()
    return listed([shown(one) for one in store().deliveries.of_run(store().runs.get(run_id).id)])


@endpoint(
    api, "POST", "/v1/runs/{run_id}/deliveries",
    scope="admin",
    summary="Send the report of a run now: into folders, by mail, to webhooks.",
    description="A worker sends it; what fails is tried again as SHELFWISE_DELIVERY_WAITS says. "
    "Folders must be in SHELFWISE_DELIVERY_FOLDERS, mails need SHELFWISE_SMTP and "
    "SHELFWISE_MAIL_FROM, and webhooks go to public https addresses or to those that "
    "SHELFWISE_WEBHOOK_ALLOW names.",
    body=json_body(NewDeliveries, {"to": [{"folder": "/data/reports", "formats": ["pdf"]}]}),
    answers=answers("DeliveryPage", "They wait for a worker.", "202"),
    errors=BAD_BODY | NO_RUN,
    idempotent=True,
)  # fmt: skip
def add_deliveries(run_id: str) -> Response:
    """Send the report of a run."""
    query()
    asked = body_as(NewDeliveries)
    settings: Settings = current_app.config["SHELFWISE"]
    if not asked.to:
        raise InputError("to is empty.", "Give a folder, mail or webhook.")
    carried = targets.checked(asked.to, settings, "/to")
    with once(msgspec.json.encode(asked)) as attempt:
        if attempt.repeated:  # What `latest` is may be another run by now.
            first, _, salt = attempt.result_id.partition(":")
        else:
            first, salt = store().runs.get(run_id).id, attempt.result_id
            attempt.result_id = f"{first}:{salt}"
        found = store().deliveries.plan(first, carried, once=salt)
        if not attempt.repeated:
            audited("delivery.add", first, kinds=[one.kind for one in found])
    response = listed([shown(one) for one in found])
    response.status_code = 202
    response.headers["Retry-After"] = "1"
    return response


@endpoint(
    api, "GET", "/v1/schedules/{name}/deliveries",
    scope="read",
    summary="What a schedule has sent last, or is to send, newest first.",
    answers=answers("DeliveryPage", "The deliveries."),
    errors={"404": "There is no such schedule."} | STORE_ERRORS,
)  # fmt: skip
def list_schedule_deliveries(name: str) -> Response:
    """The deliveries of a schedule; also of one that has ended."""
    query()
    found = store().deliveries.of_schedule(name)
    if not found:
        jobs().schedule(name)
    return listed([shown(one) for one in found])


@endpoint(
    api, "GET", "/v1/deliveries/{delivery_id}",
    scope="read",
    summary="How far a delivery is; of one that failed, why.",
    answers=answers("Delivery", "The delivery."),
    errors=NO_DELIVERY,
)  # fmt: skip
def get_delivery(delivery_id: str) -> Response:
    """One delivery."""
    query()
    return json_answer(shown(store().deliveries.get(delivery_id)))


@endpoint(
    api, "POST", "/v1/deliveries/{delivery_id}/again",
    scope="analyze",
    summary="Send again what failed, or of which nobody knows whether it arrived.",
    answers=answers("Delivery", "It waits for a worker.", "202"),
    errors=NO_DELIVERY,
)  # fmt: skip
def deliver_again(delivery_id: str) -> Response:
    """Send a delivery again."""
    query()
    found = store().deliveries.again(delivery_id)
    audited("delivery.again", found.id)
    return json_answer(shown(found), 202, Retry_After="1")
