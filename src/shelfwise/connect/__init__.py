"""What other tools are given: dashboards over the published views, made of one list of questions.

`questions` declares them, `superset` and `grafana` write them in the form of their tool.
"""

import io
import zipfile
from collections.abc import Mapping

Files = Mapping[str, bytes]
"""Paths, and what stands there."""


def zipped(files: Files) -> bytes:
    """The files as a ZIP; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path)  # Of no day: else the time would be in it.
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[path])
    return buffer.getvalue()
