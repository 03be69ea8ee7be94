"""Every error that Shelfwise raises on purpose.

```
ShelfwiseError
    InputError            the data is wrong
        UnreadableError   it cannot be parsed at all
        RejectedRowsError rows break the contract; every one is listed
        TooLargeError     more rows or bytes than the settings allow
            TooManyRowsError  more rows than one request may have; a job may have more
        UnsupportedError  a kind of file, frame or medium that nobody here reads
    ProfileError          the way to score is wrong
    ModelError            a saved model is foreign, changed or unfit for this data
    SettingError          a SHELFWISE_* variable or an option has a wrong value
    MissingExtraError     an optional dependency is not installed
    NotFoundError         a product, a model or a file is not there
    OutputError           a result cannot be written
    EngineError           DuckDB or Spark could not finish: memory, a killed job, no cluster
    StoreError            the database of runs is away, or of another version
        StoreFullError    there is no room on its disk
    QueueFullError        as many jobs wait as may
```

Each carries a stable `code`, a `message` that says what is wrong and where, and a
`hint` that says what to do. The service turns them into HTTP answers and the command
line into exit codes, each in one table.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in the input.

    `pointer` is a JSON pointer (`/3/price`): the row, counted from 0, then the column.
    """

    pointer: str
    detail: str


class ShelfwiseError(Exception):
    """The base of the tree; catch it to catch them all."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class InputError(ShelfwiseError):
    """The data is wrong."""

    code = "invalid_input"

    def __init__(
        self, message: str, hint: str = "", problems: tuple[Problem, ...] = (), count: int = 0
    ) -> None:
        super().__init__(message, hint)
        self.problems = problems
        self.count = max(count, len(problems))


class NoWeekError(InputError):
    """Order lines cover no whole week, so they have no course over time."""

    code = "no_whole_week"


class UnreadableError(InputError):
    """It cannot be parsed at all."""

    code = "unreadable"


class RejectedRowsError(InputError):
    """Rows break the contract; `problems` lists the first, `count` counts all."""

    code = "rejected_rows"


class TooLargeError(InputError):
    """More rows or bytes than the settings allow."""

    code = "too_large"


class TooManyRowsError(TooLargeError):
    """More rows than one request may have; a job may have more, up to a limit of its own."""

    code = "too_many_rows"

    def __init__(self, rows: int, most: int) -> None:
        super().__init__(
            f"{rows:,} rows are more than the {most:,} that are allowed here.",
            "Send fewer, or raise SHELFWISE_MAX_ROWS or, of jobs, SHELFWISE_MAX_UPLOAD_ROWS.",
        )
        self.rows = rows


class UnsupportedError(InputError):
    """A kind of file, frame or medium that nobody here reads."""

    code = "unsupported"


class ProfileError(ShelfwiseError):
    """The way to score is wrong."""

    code = "invalid_profile"


class ModelError(ShelfwiseError):
    """A saved model is foreign, changed or unfit for this data."""

    code = "unusable_model"


class SettingError(ShelfwiseError):
    """A variable or an option has a wrong value."""

    code = "invalid_setting"


class MissingExtraError(ShelfwiseError):
    """An optional dependency is not installed."""

    code = "missing_extra"


class NotFoundError(ShelfwiseError):
    """A product, a model or a file is not there."""

    code = "not_found"


class OutputError(ShelfwiseError):
    """A result cannot be written."""

    code = "not_written"


class EngineError(ShelfwiseError):
    """DuckDB or Spark could not finish: memory, a killed job, no cluster."""

    code = "engine_failed"


class StoreError(ShelfwiseError):
    """The database of runs is away, or of another version."""

    code = "store_failed"


class StoreFullError(StoreError):
    """The database of runs has no room on its disk."""

    code = "store_full"


class QueueFullError(ShelfwiseError):
    """As many jobs wait as may; it goes when a worker has done some."""

    code = "queue_full"


def excerpt(value: object, limit: int = 60) -> str:
    """Quote an input value in an error without repeating more than `limit` characters.

    >>> excerpt("a" * 500, limit=8)
    "'aaaaaaa…'"
    """
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, int) and abs(value) >= 10**limit:
        return "a huge integer"
    # A huge value is cut before it is quoted: repr of 10 MB costs more than the error.
    text = repr(value[: limit + 1]) if isinstance(value, str | bytes) else repr(value)
    if len(text) <= limit + 2:
        return text
    return text[:limit] + "…" + (text[0] if text[0] in "'\"" else "")
