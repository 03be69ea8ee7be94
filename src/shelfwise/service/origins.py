"""CORS: pages of which other origins may call. None by default; exact origins, no credentials."""

from flask import Response, current_app, request

from shelfwise.service.headers import ANSWERED, ASKED, KEY_HEADERS
from shelfwise.settings import Settings

EXPOSED = ", ".join(header.name for header in ANSWERED)
"""What a page may see of an answer; without this a browser hides these headers from it."""
TAKEN = ", ".join(
    ("Content-Type", "Content-Encoding", *KEY_HEADERS, *(header.name for header in ASKED))
)
"""What a page may send."""
PREFLIGHT_SECONDS = 600
"""For how long a browser need not ask again."""


def allowed() -> str | None:
    """The request's origin, where the settings name it."""
    settings: Settings = current_app.config["SHELFWISE"]
    origin = request.headers.get("Origin", "")
    return origin if origin in settings.cors_origins else None


def preflight() -> Response | None:
    """The answer to a browser that asks whether a page may send a request, or None.

    Such a request never carries a key, so it is answered without one.
    """
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    if not asks or allowed() is None or request.routing_exception:
        return None
    adapter = current_app.create_url_adapter(request)
    response = Response(status=204)
    methods = adapter.allowed_methods() if adapter else ()
    response.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(methods))
    response.headers["Access-Control-Allow-Headers"] = TAKEN
    response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    return response


def permit(response: Response) -> Response:
    """Let the page of an allowed origin read the answer, whatever its status."""
    settings: Settings = current_app.config["SHELFWISE"]
    if settings.cors_origins:
        response.vary.add("Origin")
        if origin := allowed():
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
    return response
