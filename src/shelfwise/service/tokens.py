"""Signed addresses: one file of results, for whoever has the address, until a day.

Excel, Power BI and Google Sheets ask for an address and can send no key. The signature
covers the path, the parameters, the end, and the key that made it: when that key ends, so
do its addresses. Nothing of them is kept.
"""

import base64
import datetime as dt
import hashlib
import hmac
import json
import re
import time
from urllib.parse import parse_qsl

from flask import current_app, g, request

from shelfwise.errors import NotFoundError
from shelfwise.model import local_key
from shelfwise.service.contract import parameter
from shelfwise.service.kept import store
from shelfwise.service.problems import Refusal
from shelfwise.settings import Settings
from shelfwise.store.keys import Key, Scope

TOKEN = {"token": parameter("What POST /v1/links has signed, instead of a key.", type="string",
                            maxLength=200)}  # fmt: skip
"""The query parameter of what such an address may lead to."""
BESIDE = frozenset({"token", "after"})
"""Parameters that are not signed: an address leads through all pages of its rows."""
SETTING, HERE = "SHELFWISE_API_KEY", "this machine"
"""Who asks, where it is no key of the store."""
READ: frozenset[Scope] = frozenset({"read"})
_SHORT = {SETTING: "setting", HERE: "here"}


def make(path: str, pairs: list[tuple[str, str]], days: int) -> tuple[str, dt.datetime]:
    """A token for a path and its parameters, made by who asks now; and when it ends."""
    end = time.time() + days * 86_400
    who = g.who
    if who.startswith("key "):
        who = who.removeprefix("key ")
        expires = store().keys.get(who).expires_at
        end = min(end, expires.timestamp()) if expires else end
    name = _SHORT.get(who, who)
    signed = _signature(path, pairs, int(end), name)
    return f"{int(end)}.{name}.{signed}", dt.datetime.fromtimestamp(int(end), dt.UTC)


def reader(*, key_needed: bool) -> tuple[str, frozenset[Scope]]:
    """Who reads by the token of this request, which may read this one address."""
    given = request.args.getlist("token")
    found = re.fullmatch(r"([0-9]{1,12})\.([a-z0-9]{1,16})\.([A-Za-z0-9_-]{43})", given[0])
    if not found or len(given) > 1:
        raise _refused("This token is none.")
    end, name, signed = found.groups()
    pairs = parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True)
    expected = _signature(request.path, pairs, int(end), name)
    if not hmac.compare_digest(signed, expected):
        raise _refused("This token is not for this address as it stands here.")
    if int(end) < time.time():
        raise _refused("This address has expired.")
    if name == _SHORT[SETTING]:  # What is signed has the key in it.
        return SETTING, READ
    if name == _SHORT[HERE]:
        if key_needed:
            raise _refused("This address was made while no key was needed.")
        return HERE, READ
    key = _key(name)
    if key is None or not key.works or not key.scopes & {"read", "admin"}:
        raise _refused("The key that made this address works no more.")
    return f"key {name}", READ


def _key(prefix: str) -> Key | None:
    try:
        return store().keys.get(prefix)
    except NotFoundError:
        return None


def _refused(detail: str) -> Refusal:
    return Refusal(403, "wrong_token", f"{detail} POST /v1/links makes a new one.")


def _signature(path: str, pairs: list[tuple[str, str]], end: int, name: str) -> str:
    settings: Settings = current_app.config["SHELFWISE"]
    asked = sorted(pair for pair in pairs if pair[0] not in BESIDE)
    secret = settings.api_key if name == _SHORT[SETTING] else ""
    text = json.dumps([path, asked, end, name, secret])
    key = hmac.new(local_key(settings), b"links", hashlib.sha256).digest()
    made = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
