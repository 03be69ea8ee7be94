"""What pages load: our style and script, and the drawing library out of vl-convert."""

import gzip
import hashlib
import subprocess
import sys
import tempfile
from functools import lru_cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from threading import Lock

from flask import Response, current_app, request

from shelfwise import __version__
from shelfwise.service.dashboard.page import screen, site
from shelfwise.settings import Settings

FOREVER = "public, max-age=31536000, immutable"
KINDS = {"dashboard.css": "text/css", "dashboard.js": "text/javascript"}
MAKE = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle())"
_lock = Lock()


@screen("/assets/<mark>/<name>", scope=None)
def asset(mark: str, name: str) -> Response:
    """A file of ours, or the drawing library; `mark` changes with what is in it."""
    if name == "vega.js":
        content, kind = vega(current_app.config["SHELFWISE"]), "text/javascript"
    elif name in KINDS:
        content, kind = _packed(name), KINDS[name]
    else:
        from werkzeug.exceptions import NotFound

        raise NotFound
    response = Response(content, content_type=f"{kind}; charset=utf-8")
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response.headers["Content-Encoding"] = "gzip"
    else:
        response.set_data(gzip.decompress(content))
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = FOREVER
    return response


@site.app_template_global()
def asset_url(name: str) -> str:
    """Where a file is; the address changes with its content, so browsers keep it for good."""
    mark = vega_version() if name == "vega.js" else hashlib.sha256(_packed(name)).hexdigest()[:12]
    return f"/assets/{mark}/{name}"


@lru_cache
def _packed(name: str) -> bytes:
    content = (files("shelfwise.service") / "static" / name).read_bytes()
    return gzip.compress(content, 9, mtime=0)


@lru_cache
def vega_version() -> str:
    """The version of what draws."""
    return metadata.version("vl-convert-python")


def vega(settings: Settings) -> bytes:
    """Vega, Vega-Lite and Vega-Embed as one script, gzipped; made once, kept in the data folder.

    It comes out of the wheel of vl-convert, by a process of its own: that takes 3 seconds and
    200 MB, which the server need not hold.
    """
    path = settings.data_dir / "cache" / f"vega-{vega_version()}-{__version__}.js.gz"
    with _lock:
        if not path.is_file():
            done = subprocess.run([sys.executable, "-c", MAKE], capture_output=True, check=True)
            _write(path, gzip.compress(done.stdout, 9, mtime=0))
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)
