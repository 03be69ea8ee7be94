"""/v1/uploads: files that are kept to be analyzed, and how they would be read."""

from typing import Any

from flask import Blueprint, Response, current_app, request

from shelfwise.preview import preview
from shelfwise.service import media
from shelfwise.service.access import audited
from shelfwise.service.body import save_body
from shelfwise.service.contract import (
    STORE_ERRORS,
    answers,
    endpoint,
    json_answer,
    parameter,
    query,
)
from shelfwise.service.kept import store
from shelfwise.service.parameters import SWITCH
from shelfwise.service.problems import Refusal
from shelfwise.settings import Settings
from shelfwise.store.uploads import Upload

api = Blueprint("uploads", __name__)
NO_UPLOAD = {"404": "There is no such upload."} | STORE_ERRORS
LOOK = {"lines": parameter("1 looks at it as order lines, not as products.", **SWITCH)}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@endpoint(
    api, "POST", "/v1/uploads",
    scope="analyze",
    summary="Keep a file for a week, to be analyzed as a job.",
    description="The answer shows how it would be read: its first rows, which column is taken "
    "for what, what is missing, and what a repair would mend.",
    query={
        "name": parameter("What the file is called.", type="string", maxLength=255), **LOOK
    },
    body={"required": True, "content": dict.fromkeys(media.UPLOADS, _BINARY)},
    answers=answers("Upload", "The file is kept.", "201", located=True),
    errors={
        "400": "Not gzip, or cut short.",
        "413": "More bytes than SHELFWISE_MAX_UPLOAD_BYTES.",
        "415": "A medium that nobody here reads.",
        "422": "Not what Content-Type says.",
    } | STORE_ERRORS,
)  # fmt: skip
def upload() -> Response:
    """Keep a file."""
    options = query()
    settings: Settings = current_app.config["SHELFWISE"]
    kind = _kind()
    name = options["name"] or f"upload.{kind}"
    kept = store().uploads.add(
        kind, name, lambda path: save_body(request.environ, settings.max_upload_bytes, path)
    )
    try:
        shown = _look(kept, options)
    except BaseException:
        store().uploads.delete(kept.id)
        raise
    audited("upload.add", kept.id, bytes=kept.bytes)
    return json_answer(kept.to_dict() | shown, 201, Location=f"/v1/uploads/{kept.id}")


@endpoint(
    api, "GET", "/v1/uploads/{upload_id}",
    scope="read or analyze",
    summary="An upload, and how it would be read.",
    query=LOOK,
    answers=answers("Upload", "The upload."),
    errors=NO_UPLOAD | {"422": "It cannot be read."},
)  # fmt: skip
def get_upload(upload_id: str) -> Response:
    """An upload."""
    options = query()
    kept = store().uploads.get(upload_id)
    return json_answer(kept.to_dict() | _look(kept, options))


@endpoint(
    api, "DELETE", "/v1/uploads/{upload_id}",
    scope="analyze",
    summary="Remove an upload.",
    answers={"204": {"description": "It is gone."}},
    errors=NO_UPLOAD,
)  # fmt: skip
def delete_upload(upload_id: str) -> Response:
    """Remove an upload."""
    query()
    store().uploads.delete(upload_id)
    audited("upload.delete", upload_id)
    return Response(status=204)


def _look(kept: Upload, options: dict[str, Any]) -> dict[str, Any]:
    """How an upload would be read."""
    settings: Settings = current_app.config["SHELFWISE"]
    path = store().uploads.path(kept.id)
    return preview(path, kept.kind, settings.max_upload_bytes, lines=options["lines"] == "1")


def _kind() -> str:
    given = request.content_type or ""
    kind = media.UPLOADS.get(given.partition(";")[0].strip().lower())
    if kind is None:
        raise Refusal(
            415,
            "unsupported_media_type",
            f"Content-Type {given[:60]!r} is not understood; it is one of "
            f"{', '.join(media.UPLOADS)}.",
            Accept=", ".join(media.UPLOADS),
        )
    return kind
