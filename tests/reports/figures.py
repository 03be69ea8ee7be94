"""The kept figures of the PDF: pages as small gray pictures. Run it to keep those of now."""

import tempfile
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium

FIGURES = Path(__file__).with_name("figures") / "report.npz"
SCALE = 0.25


def shaded(made: bytes) -> np.ndarray:
    """The pages of a PDF, light and dark: page, line, column."""
    document = pdfium.PdfDocument(made)
    pages = [document[number].render(scale=SCALE, grayscale=True).to_numpy()
             for number in range(len(document))]  # fmt: skip
    return np.stack(pages)


def main() -> None:
    import subprocess
    import sys

    from shelfwise import reports
    from shelfwise.formats import Formats
    from shelfwise.reports.pdf import pdf
    from shelfwise.settings import load_settings
    from shelfwise.store import Store

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "shelfwise.cli", "demo", "--no-serve", "--folder", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with Store(load_settings({}, data_dir=Path(folder) / "data")) as store:
            report = reports.of_run(store, store.runs.get(), formats=Formats())
        np.savez_compressed(FIGURES, pages=shaded(pdf(report, fonts=False)))


if __name__ == "__main__":
    main()
