"""The dashboard: pages for people, drawn here, on the same store as the API."""

from typing import Any
from urllib.parse import quote

import msgspec
from flask import Flask, Response, redirect, render_template, request

from shelfwise.service.dashboard import (  # noqa: F401  (importing them declares their pages)
    assets,
    campaigns,
    changes,
    data,
    inventory,
    method,
    overview,
    product,
    products,
    profiles,
    reports,
    session,
    suppliers,
    trends,
    upload,
    working,
)
from shelfwise.service.dashboard.page import compressed, csrf_token, own_referrer, site, theme
from shelfwise.texts import TEXTS, text

__all__ = ["set_up"]


def set_up(app: Flask) -> None:
    """Give an application the pages."""
    app.session_interface = session.Cookies()
    app.register_blueprint(site)
    app.before_request(session.check_token)
    app.after_request(compressed)
    app.after_request(own_referrer)
    app.after_request(_as_page)


def _as_page(response: Response) -> Any:
    """A problem as a page, where a browser shows it; whoever is not signed in signs in first."""
    wanted = request.blueprint == site.name or (
        request.method == "GET"
        and request.accept_mimetypes.best == "text/html"
        and not request.path.startswith(("/v1/", "/product-analysis"))
    )
    if response.mimetype != "application/problem+json" or not wanted:
        return response
    if response.status_code == 401:
        here = request.full_path.rstrip("?") if request.method == "GET" else "/"
        answer = redirect(f"/sign-in?next={quote(here)}")
        return answer
    problem = msgspec.json.decode(response.get_data())
    key = f"error.title.{response.status_code}"
    page = render_template(
        "dashboard/error.html", t=text, theme=theme(), problem=problem, csrf=csrf_token,
        title=text(key if key in TEXTS else "error.title"), status=response.status_code,
    )  # fmt: skip
    response.set_data(page)
    response.content_type = "text/html; charset=utf-8"
    return response
