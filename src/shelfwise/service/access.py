"""Who may ask: hosts, proxies, keys and their scopes; and how often."""

import hashlib
import hmac
import ipaddress
import re
import time
from threading import Lock
from typing import get_args

from flask import Response, current_app, g, request, session

from shelfwise.service import origins, tokens
from shelfwise.service.contract import ENDPOINTS
from shelfwise.service.kept import store
from shelfwise.service.problems import Refusal, request_id
from shelfwise.service.tokens import HERE, SETTING
from shelfwise.settings import Settings
from shelfwise.store.keys import Scope

FORWARDING = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST",
              "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP")  # fmt: skip
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
PROBES = frozenset({"pages.livez", "pages.readyz"})
"""Health checks come from wherever the machine asks, under any host name."""
PROXIED = "admin.own_key"
"""A proxy asks for this before it reads a body: under any host name, and beside the limit."""
OPEN = PROBES | {"pages.openapi", "pages.docs", "static"}
"""Endpoints that answer without a key: they show nothing of anybody's data."""
SCREENS: dict[str, Scope | None] = {}
"""Endpoints of the dashboard, and the scopes they need; filled where they are declared."""
ALL: frozenset[Scope] = frozenset(get_args(Scope))
NOBODY = "nobody"


def guard() -> Response | None:
    """Host, forwarding, key, scope and rate: the checks that every request passes.

    A preflight that passes the first two is answered here.
    """
    settings: Settings = current_app.config["SHELFWISE"]
    environ = request.environ
    if request.endpoint in PROBES:
        return None
    key_needed: bool = current_app.config["KEY_NEEDED"]
    hosts = settings.hosts or (() if key_needed else LOOPBACK)
    by_proxy = key_needed and request.endpoint == PROXIED
    any_name = by_proxy or not hosts or "*" in hosts
    if not any_name and _host(environ.get("HTTP_HOST", "")) not in hosts:
        raise Refusal(
            400,
            "unknown_host",
            "This host name is not served; SHELFWISE_HOSTS lists those that are.",
        )
    if not key_needed:
        if "*" not in hosts and not _is_loopback(environ.get("REMOTE_ADDR", "")):
            raise Refusal(403, "key_needed_from_afar", "Without a key only this machine is served.")
        if not settings.behind_proxy and any(name in environ for name in FORWARDING):
            raise Refusal(
                403,
                "undeclared_proxy",
                "The request came through a proxy. Set SHELFWISE_BEHIND_PROXY and a key first.",
            )
        _refuse_cross_site(environ)
    if answer := origins.preflight():
        return answer
    if request.endpoint in OPEN:
        return None
    endpoint = str(request.endpoint)
    declared = ENDPOINTS.get(endpoint)
    scope = declared.scope if declared else SCREENS.get(endpoint)
    if endpoint in SCREENS:
        # Pages know their reader by a cookie; what programs ask does not look at it.
        if scope is None:
            g.who, g.scopes = NOBODY, frozenset()
            if settings.rate_limit and request.method == "POST":
                # Who guesses keys has none to be counted by.
                _count(f"address {_address(settings, environ)}", settings.rate_limit)
            return None
        g.who, g.scopes = _reader(settings, key_needed=key_needed)
    elif declared and "token" in declared.query and "token" in request.args:
        g.who, g.scopes = tokens.reader(key_needed=key_needed)
    else:
        g.who, g.scopes = _asker(settings, _given(environ), key_needed=key_needed)
    if scope and not g.scopes & {*scope.split(" or "), "admin"}:
        raise Refusal(403, "scope_missing", f"This key lacks the scope {scope}; an admin gives it.")
    if settings.rate_limit and not by_proxy:
        _count(g.who, settings.rate_limit)
    return None


def _address(settings: Settings, environ: dict[str, str]) -> str:
    """Where a request comes from; behind a proxy what that has added last."""
    told = environ.get("HTTP_X_FORWARDED_FOR", "") if settings.behind_proxy else ""
    return told.rpartition(",")[2].strip() or environ.get("REMOTE_ADDR", "")


def _refuse_cross_site(environ: dict[str, str]) -> None:
    """A page of another site may make a browser here send a request; without a key that counts.

    Programs send neither header.
    """
    if request.method in ("GET", "HEAD", "OPTIONS") or origins.allowed():
        return
    origin = environ.get("HTTP_ORIGIN", "")
    foreign = bool(origin) and origin.partition("://")[2] != environ.get("HTTP_HOST", "")
    if foreign or environ.get("HTTP_SEC_FETCH_SITE", "") in ("cross-site", "same-site"):
        raise Refusal(403, "cross_site", "Requests from pages of other sites are refused.")


def audited(action: str, target: str, **detail: object) -> None:
    """Write a change into the audit log, with who asked for it."""
    store().audit.add(g.who, action, target, request_id(), **detail)


def _given(environ: dict[str, str]) -> str:
    bearer = environ.get("HTTP_AUTHORIZATION", "")
    key = bearer[7:] if bearer[:7].lower() == "bearer " else environ.get("HTTP_X_API_KEY", "")
    return key.strip()


def _asker(settings: Settings, key: str, *, key_needed: bool) -> tuple[str, frozenset[Scope]]:
    """Who asks, and what a key of theirs allows; without a need for one everything."""
    if not key and not key_needed:
        return HERE, ALL
    # WSGI hands headers over as latin-1, whatever the bytes mean.
    given = key.encode("latin-1", "replace")
    if settings.api_key and hmac.compare_digest(given, settings.api_key.encode()):
        return SETTING, ALL
    found = store().keys.check(key) if key.startswith("swk_") else None
    if found is None:
        raise Refusal(
            401,
            "key_needed",
            "Send a key that works, as Authorization: Bearer KEY.",
            WWW_Authenticate='Bearer realm="shelfwise"',
        )
    return f"key {found.prefix}", found.scopes


def _reader(settings: Settings, *, key_needed: bool) -> tuple[str, frozenset[Scope]]:
    """Who reads a page: whoever signed in with a key that still works."""
    if not key_needed:
        return HERE, ALL
    known = session.get("key", "")
    if known == SETTING and settings.api_key:
        if hmac.compare_digest(str(session.get("print", "")), session_print(settings.api_key)):
            return SETTING, ALL
    elif known:
        found = next((key for key in store().keys.all() if key.prefix == known), None)
        if found and found.works:
            return f"key {found.prefix}", found.scopes
    raise Refusal(401, "sign_in_needed", "Sign in with a key.")


def session_print(key: str) -> str:
    """What a session remembers of the key in the settings, so that a new key ends it."""
    return hashlib.sha256(b"session " + key.encode()).hexdigest()[:24]


_windows: dict[str, tuple[int, int]] = {}
_windows_lock = Lock()


def _count(who: str, most: int) -> None:
    """Count a request in the minute it falls in; 429 beyond the most."""
    second = int(time.time())
    minute, left = divmod(second, 60)
    with _windows_lock:
        if len(_windows) > 10_000:
            _windows.clear()
        window, count = _windows.get(who, (minute, 0))
        count = count + 1 if window == minute else 1
        _windows[who] = (minute, count)
    g.rate = (most, max(0, most - count), 60 - left)
    if count > most:
        raise Refusal(
            429,
            "too_many_requests",
            f"More than {most:,} requests in this minute.",
            Retry_After=str(60 - left),
        )


def rate_headers(response: Response) -> None:
    """What is left of the minute's requests, where they are limited."""
    if "rate" in g:
        names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
        for name, value in zip(names, g.rate, strict=True):
            response.headers[name] = str(value)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return not address  # a socket file has no address


def _host(host: str) -> str:
    """The name in a Host header; empty where it is malformed."""
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]*)?", host.lower())
    return found[1] if found else ""
