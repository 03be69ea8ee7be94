"""A report in a process of its own: `python -m shelfwise.reports RUN FILE`."""

import sys
from pathlib import Path

from shelfwise import reports
from shelfwise.formats import Formats
from shelfwise.settings import load_settings
from shelfwise.store import Store


def main() -> None:
    """Write the report on a run, as it was made and answered, into a file, by its ending."""
    run_id, target = sys.argv[1:]
    place = Path(target)
    with Store() as store:
        settings = load_settings()
        formats = Formats(settings.locale, settings.currency)
        made = reports.of_run(store, store.runs.get(run_id), formats=formats)
    place.write_bytes(reports.render(made, place.suffix.removeprefix(".")))


if __name__ == "__main__":
    main()
