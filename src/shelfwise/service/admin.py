"""/v1/key, /v1/keys and /v1/audit: for whoever runs the service."""

from typing import Annotated, get_args

import msgspec
from flask import Blueprint, Response, g

from shelfwise.service.access import audited
from shelfwise.service.contract import (
    BAD_BODY,
    DEFAULT_LIMIT,
    STORE_ERRORS,
    answers,
    body_as,
    endpoint,
    json_answer,
    json_body,
    listed,
    query,
)
from shelfwise.service.kept import store
from shelfwise.service.parameters import PAGE
from shelfwise.store.keys import Scope

api = Blueprint("admin", __name__)
NO_KEY = {"404": "There is no such key."} | STORE_ERRORS


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """A key to make."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern="^[^\\x00-\\x1f]*$")]
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1)]
    days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None


@endpoint(
    api, "GET", "/v1/key",
    scope=" or ".join(get_args(Scope)),
    summary="The key of this request: whose it is, and what it may do.",
    description="A proxy may ask for this before it reads a body: it counts for no limit.",
    answers=answers("OwnKey", "Who asks, and the scopes."),
    errors=STORE_ERRORS,
)  # fmt: skip
def own_key() -> Response:
    """Who asks."""
    query()
    return json_answer({"who": g.who, "scopes": sorted(g.scopes)})


@endpoint(
    api, "GET", "/v1/keys",
    scope="admin",
    summary="The API keys, newest first; their secrets are not kept.",
    answers=answers("KeyPage", "The keys."),
    errors=STORE_ERRORS,
)  # fmt: skip
def list_keys() -> Response:
    """The API keys."""
    query()
    return listed([key.to_dict() for key in store().keys.all()], None)


@endpoint(
    api, "POST", "/v1/keys",
    scope="admin",
    summary="Make a key; the answer alone shows it, once.",
    body=json_body(NewKey, {"name": "till 4", "scopes": ["analyze"], "days": 90}),
    answers=answers("MadeKey", "The key, and what is kept of it.", "201"),
    errors=BAD_BODY | STORE_ERRORS,
)  # fmt: skip
def create_key() -> Response:
    """Make a key."""
    query()
    asked = body_as(NewKey)
    text, key = store().keys.create(asked.name, asked.scopes, asked.days)
    audited("key.create", key.prefix, scopes=sorted(key.scopes))
    return json_answer({"key": text, "about": key.to_dict()}, 201)


@endpoint(
    api, "DELETE", "/v1/keys/{prefix}",
    scope="admin",
    summary="Revoke a key.",
    answers=answers("Key", "The key, which works no more."),
    errors=NO_KEY,
)  # fmt: skip
def revoke_key(prefix: str) -> Response:
    """Revoke a key."""
    query()
    key = store().keys.revoke(prefix)
    audited("key.revoke", prefix)
    return json_answer(key.to_dict())


@endpoint(
    api, "POST", "/v1/keys/{prefix}/rotate",
    scope="admin",
    summary="Make a key with the same name and scopes; the old one works for 24 hours more.",
    answers=answers("MadeKey", "The new key, and what is kept of it.", "201"),
    errors=NO_KEY | {"422": "The key does not work any more."},
)  # fmt: skip
def rotate_key(prefix: str) -> Response:
    """Rotate a key."""
    query()
    text, key = store().keys.rotate(prefix)
    audited("key.rotate", prefix, to=key.prefix)
    return json_answer({"key": text, "about": key.to_dict()}, 201)


@endpoint(
    api, "GET", "/v1/audit",
    scope="admin",
    summary="Who changed what, newest first; the log only grows.",
    query=PAGE,
    answers=answers("AuditPage", "A page of the log."),
    errors=STORE_ERRORS,
)  # fmt: skip
def list_audit() -> Response:
    """The audit log."""
    options = query()
    return listed(*store().audit.newest(options["limit"] or DEFAULT_LIMIT, options["after"]))
