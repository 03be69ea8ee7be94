"""Who looks at the pages: sign-in by a key, and tokens that only our forms carry."""

import hashlib
import hmac
import secrets
from typing import Any

from flask import Response, current_app, g, redirect, render_template, request, session
from flask.sessions import SecureCookieSessionInterface

from shelfwise.charts import THEMES
from shelfwise.model import local_key
from shelfwise.service.access import audited, session_print
from shelfwise.service.dashboard.page import screen, theme
from shelfwise.service.kept import store
from shelfwise.service.problems import Refusal
from shelfwise.service.tokens import SETTING
from shelfwise.settings import Settings
from shelfwise.texts import text

YEAR = 365 * 24 * 3600


class Cookies(SecureCookieSessionInterface):
    """Signed cookies that only this site gets, over TLS alone where it is used."""

    def open_session(self, app: Any, request: Any) -> Any:
        """What the cookie says; without one nothing, and no key is made for it."""
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)

    def get_signing_serializer(self, app: Any) -> Any:
        """What signs, by a key of its own that is derived of the local one."""
        if app.secret_key is None:
            key = local_key(app.config["SHELFWISE"])
            app.secret_key = hmac.new(key, b"sessions", hashlib.sha256).digest()
        return super().get_signing_serializer(app)

    def get_cookie_secure(self, app: Any) -> bool:
        """Whether the browser may send it over TLS only."""
        return bool(_is_tls())

    def get_cookie_samesite(self, app: Any) -> str:
        """No other site's page may make a browser send it."""
        return "Strict"

    def get_cookie_name(self, app: Any) -> str:
        """Its name."""
        return "shelfwise"


def _is_tls() -> bool:
    settings: Settings = current_app.config["SHELFWISE"]
    declared = settings.behind_proxy and request.headers.get("X-Forwarded-Proto") == "https"
    return declared or request.scheme == "https"


def token() -> str:
    """The token of this browser's session; made at first use."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def check_token() -> None:
    """Refuse a form that did not come from one of our pages."""
    if request.method in ("GET", "HEAD", "OPTIONS") or request.blueprint != "dashboard":
        return
    settings: Settings = current_app.config["SHELFWISE"]
    # A form with a file has as much as the API takes, and what is around it.
    request.max_content_length = settings.max_upload_bytes + 2**20
    given = request.form.get("csrf", "") or request.headers.get("X-CSRF-Token", "")
    if not hmac.compare_digest(given.encode(), str(session.get("csrf", "")).encode()) or not given:
        raise Refusal(403, "form_expired", text("error.form_expired"))


@screen("/sign-in", scope=None)
def sign_in() -> Any:
    """The form that asks for a key."""
    return _form("")


@screen("/sign-in", scope=None, methods=("POST",))
def check_key() -> Any:
    """Begin a session with a key that works."""
    settings: Settings = current_app.config["SHELFWISE"]
    given = request.form.get("key", "").strip()
    if settings.api_key and hmac.compare_digest(given.encode(), settings.api_key.encode()):
        session.clear()
        session["key"], session["print"] = SETTING, session_print(settings.api_key)
        g.who = SETTING
    else:
        found = store().keys.check(given) if given.startswith("swk_") else None
        if found is None:
            return Response(_form(text("sign_in.wrong")), 403)
        session.clear()
        session["key"] = found.prefix
        g.who = f"key {found.prefix}"
    token()
    audited("session.begin", g.who)
    return redirect(inside(request.form.get("next", "")))


@screen("/sign-out", scope=None, methods=("POST",))
def sign_out() -> Any:
    """End the session."""
    session.clear()
    return redirect("/sign-in")


@screen("/theme", scope=None, methods=("POST",))
def choose_theme() -> Any:
    """Remember light or dark in a cookie; anything else lets the system decide."""
    answer = redirect(inside(request.form.get("next", "")))
    chosen = request.form.get("theme", "")
    if chosen in THEMES:
        answer.set_cookie("theme", chosen, max_age=YEAR, samesite="Strict", secure=_is_tls(),
                          httponly=True)  # fmt: skip
    else:
        answer.delete_cookie("theme")
    return answer


def inside(path: str) -> str:
    """A path of ours to go to; never another site's."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path
    return path if ours and path.isprintable() else "/"


def _form(wrong: str) -> str:
    from shelfwise.service.dashboard.page import csrf_token

    return render_template(
        "dashboard/sign_in.html", t=text, theme=theme(), wrong=wrong, csrf=csrf_token,
        following=request.values.get("next", "/"), title=text("sign_in.title"),
    )  # fmt: skip
