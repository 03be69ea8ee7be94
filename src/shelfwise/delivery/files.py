"""Reports in folders: whole or not there, under names that are the same on every try."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from shelfwise.delivery.outcome import NotDelivered


def put(folder: Path, files: Sequence[tuple[str, bytes]], delivery_id: str) -> None:
    """Write files into a folder, which is made if it is not there.

    Each is written beside its name and renamed: who looks sees the whole file or none. Two
    deliveries may write the same one at the same time, so drafts are called after theirs; what
    a try that was killed has left of one, the next try replaces.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files:
            draft = folder / f".{name}.{delivery_id[:8]}.part"
            try:
                with draft.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(folder / name)
            except OSError:
                with suppress(OSError):
                    draft.unlink()
                raise
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # Or the rename may be lost when the power goes.
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = f"The folder {folder} cannot be written to: {error.strerror or error}."
        raise NotDelivered(reason, again=True) from error
