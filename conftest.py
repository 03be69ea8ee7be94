"""Runs the examples of README.md and docs/ as they stand, and the doctests of src/.

Each document has a temporary folder of its own, in which its blocks run in order:

- `python` blocks run; `pycon` blocks are doctests.
- A block with a second word after its language (csv products.csv) becomes that file.
- `console` blocks run each line after `$ ` in a shell. Shown output is compared as
  doctest compares it, with `...` for anything and blanks of any width; a command must
  end with 0 unless its output begins with "Error:". `shelfwise serve` is started on a
  free port and stays until the next one or the end of the document; the address in
  the document (127.0.0.1:8000) stands for it.
- Other blocks, `sh` among them, are shown only.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path
from typing import Any

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.example import SybilFailure
from sybil.integration.pytest import SybilFile, SybilItem
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer
from sybil.parsers.rest import DocTestParser

# What is printed is as wide as a test says; the size of somebody's terminal must not show.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

PROJECT = Path(__file__).resolve().parent
FLAGS = ELLIPSIS | NORMALIZE_WHITESPACE
ADDRESS = "127.0.0.1:8000"
WIDTH = "88"
START = 'import sys; from shelfwise.cli import main; sys.argv[0] = "shelfwise"; main()'
FILE = re.compile(r"\w+ (?P<name>[\w./-]+)\n")
SERVE = re.compile(r"^((?:\w+=\S+ )*)shelfwise serve\b(.*)$")


def sessions(document: Document) -> Iterable[Region]:
    """The doctests in `pycon` blocks."""
    parse = DocTestStringParser(DocTestEvaluator(FLAGS))
    for block in CodeBlockParser("pycon")(document):
        for region in parse(block.parsed, document.path):
            region.adjust(block, block.parsed)
            yield region


def files(document: Document) -> Iterable[Region]:
    """The blocks that are a file."""
    for block in RawFencedCodeBlockLexer(FILE)(document):
        block.parsed, block.evaluator = block.lexemes["source"], _write
        yield block


def _write(example: Example) -> None:
    name = example.region.lexemes["name"]
    Path(name).write_text(example.parsed, encoding="utf-8")


def commands(document: Document) -> Iterable[Region]:
    """The `console` blocks."""
    return CodeBlockParser("console", _run)(document)


def _run(example: Example) -> None:
    shell = example.namespace["_shell"]
    for command, shown in _commands(example.parsed):
        if serve := SERVE.match(command):
            output, code = shell.serve(*serve.groups()), 0
        else:
            output, code = shell.run(command)
        expected = "\n".join(shown).strip("\n") + "\n"
        if expected.strip() and not OutputChecker().check_output(expected, output, FLAGS):
            raise SybilFailure(example, f"$ {command}\nshown:\n{expected}\nreal:\n{output}")
        if code and not expected.startswith("Error:"):
            raise SybilFailure(example, f"$ {command}\nended with {code}:\n{output}")


def _commands(text: str) -> Iterable[tuple[str, list[str]]]:
    """Each command, to the end of its quotes and backslashes, and the output shown."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif not _whole(found[-1][0]):
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        else:
            found[-1][1].append(line)
    return found


def _whole(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")


class Shell:
    """What a reader's terminal is: a folder, the command `shelfwise`, perhaps a server."""

    def __init__(self) -> None:
        self.before = Path.cwd()
        self.root = Path(tempfile.mkdtemp(prefix="shelfwise-docs-"))
        self.folder, programs = self.root / "here", self.root / "bin"
        self.folder.mkdir()
        programs.mkdir()
        self.server: subprocess.Popen[bytes] | None = None
        self.address = ""
        for name, options in (("shelfwise", f"-c '{START}'"), ("python", "")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {options} "$@"\n')
            program.chmod(0o755)
        mine = {n: v for n, v in os.environ.items() if not n.startswith("SHELFWISE_")}
        self.environment = mine | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT / "src"),
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": WIDTH,
            "SHELFWISE_DATA_DIR": str(self.root / "home"),
        }
        self.outside = os.environ.get("SHELFWISE_DATA_DIR")
        os.environ["SHELFWISE_DATA_DIR"] = self.environment["SHELFWISE_DATA_DIR"]
        os.chdir(self.folder)

    def run(self, command: str) -> tuple[str, int]:
        """What a command prints, and what it ends with."""
        if "curl " in command:
            if not shutil.which("curl"):
                pytest.skip("curl is not installed")
            if not self.server:
                self.serve("", "")
            command = command.replace(ADDRESS, self.address)
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        output = done.stdout.decode()
        return output.replace(self.address, ADDRESS) if self.address else output, done.returncode

    def serve(self, variables: str, options: str) -> str:
        """Start the server on a free port; what it says then."""
        self.stop()
        given = dict(pair.split("=", 1) for pair in variables.split())
        log = self.root / "server.txt"
        with log.open("wb") as file:
            self.server = subprocess.Popen(
                [sys.executable, "-m", "shelfwise.cli", "serve", *options.split(), "--port", "0"],
                env=self.environment | given,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + 60
        while "Stop: Ctrl-C" not in (said := log.read_text(encoding="utf-8")):
            assert self.server.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.05)
        self.address = said.split("http://")[1].split()[0]
        return said.replace(self.address, ADDRESS)

    def stop(self) -> None:
        if self.server:
            self.server.terminate()
            self.server.wait(timeout=40)
            self.server = None

    def close(self) -> None:
        self.stop()
        os.chdir(self.before)
        if self.outside is None:
            del os.environ["SHELFWISE_DATA_DIR"]
        else:
            os.environ["SHELFWISE_DATA_DIR"] = self.outside
        shutil.rmtree(self.root)


def _open(namespace: dict[str, Any]) -> None:
    namespace["_shell"] = Shell()


def _close(namespace: dict[str, Any]) -> None:
    namespace["_shell"].close()


pages = Sybil(
    parsers=[PythonCodeBlockParser(), sessions, files, commands],
    patterns=["README.md", "docs/**/*.md"],
    setup=_open,
    teardown=_close,
)
source = Sybil(parsers=[DocTestParser(FLAGS)], patterns=["src/**/*.py"])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SybilFile | None:
    """A document that has examples."""
    if not file_path.is_relative_to(PROJECT):
        return None
    inside = file_path.relative_to(PROJECT)
    for sybil, wanted in (
        (pages, inside.suffix == ".md" and (inside.parts[0] == "docs" or len(inside.parts) == 1)),
        (source, inside.suffix == ".py" and inside.parts[0] == "src"),
    ):
        if wanted:
            return SybilFile.from_parent(parent, path=file_path, sybils=[sybil])
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The examples of a document stay together and in order, whatever the order of tests."""
    order: dict[Path, int] = {}
    for item in items:
        if isinstance(item, SybilItem):
            order.setdefault(item.path, len(order))
    examples = [item for item in items if isinstance(item, SybilItem)]
    examples.sort(key=lambda item: (order[item.path], item.example.start))
    items[:] = [item for item in items if not isinstance(item, SybilItem)] + examples
