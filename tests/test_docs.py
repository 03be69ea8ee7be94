"""The documentation: up to date, without dead links, and about no machine in particular.

The examples in it are run by the conftest of the project.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shelfwise import analyze
from shelfwise.errors import ShelfwiseError

PROJECT = Path(__file__).resolve().parent.parent
PAGES = [
    *(PROJECT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NOTICE = re.compile(r'Notice\(\s*"(\w+)"')
REFUSAL = re.compile(r'(?:Refusal|problem)\(\s*(\d{3}),\s*"(\w+)"')


@pytest.fixture(scope="module")
def generate() -> Any:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", PROJECT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def source() -> str:
    files = sorted((PROJECT / "src").rglob("*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_reference_pages_are_up_to_date(generate: Any) -> None:
    assert generate.lagging() == []


def test_check_names_the_page_that_lags_and_a_line(
    generate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    generate.main()
    assert generate.lagging() == []
    page = tmp_path / "metrics.md"
    page.write_text(page.read_text(encoding="utf-8").replace("# Metrics", "# Old"), "utf-8")
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    with pytest.raises(SystemExit, match=r"metrics\.md: -# Old"):
        generate.main()


def test_no_reference_page_is_left_over(generate: Any) -> None:
    found = {path.name for path in (PROJECT / "docs" / "reference").iterdir()}
    assert found == set(generate.PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_resolves(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(PROJECT), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_reached_from_the_index() -> None:
    seen, queue = set(), [PROJECT / "docs" / "index.md"]
    while queue:
        page = queue.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = LINK.findall(page.read_text(encoding="utf-8"))
        local = [link.partition("#")[0] for link in links if not link.startswith("https://")]
        queue += [(page.parent / path).resolve() for path in local if path]
    assert set((PROJECT / "docs").rglob("*.md")) <= seen


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_machine_or_a_package_index(page: Path) -> None:
    homes = r"/(?:home|root|Users|work|mnt|tmp/[a-z])[/\w]"
    indexes = r"pypi\.org|files\.pythonhosted|--(?:extra-)?index-url|artifactory|nexus"
    for line in page.read_text(encoding="utf-8").splitlines():
        assert not re.search(f"{homes}|{indexes}", line), line


def test_every_warning_in_the_source_is_in_the_reference_and_no_other(generate: Any) -> None:
    assert set(NOTICE.findall(source())) == set(generate.WARNINGS)


def test_every_refusal_in_the_source_is_in_the_reference_and_no_other(generate: Any) -> None:
    found = {code: int(status) for status, code in REFUSAL.findall(source())}
    assert found == {code: status for code, (status, _) in generate.REFUSALS.items()}


def test_every_error_of_ours_is_in_the_reference(generate: Any) -> None:
    def tree(kind: type[ShelfwiseError]) -> set[type[ShelfwiseError]]:
        return {kind}.union(*(tree(child) for child in kind.__subclasses__()))

    page = generate.pages()["errors.md"]
    kinds = {kind for kind in tree(ShelfwiseError) if kind.__module__.startswith("shelfwise")}
    assert all(f"`{kind.__name__}` | `{kind.code}`" in page for kind in kinds)


def test_each_promise_names_tests_that_exist() -> None:
    text = (PROJECT / "docs" / "promises.md").read_text(encoding="utf-8")
    named = re.compile(r"^- `(tests/[\w/]+\.py)::(test_\w+)`$", re.MULTILINE)
    for promise in (*(f"## P{number}" for number in range(1, 11)), "## Under trouble"):
        part = text.split(f"{promise}\n")[1].split("\n## ")[0]
        assert named.findall(part), promise
    for file, name in named.findall(text):
        source = (PROJECT / file).read_text(encoding="utf-8")
        assert f"\ndef {name}(" in source, f"{file}::{name}"


def test_the_page_of_bad_input_names_tests_that_exist() -> None:
    text = (PROJECT / "docs" / "reference" / "bad-input.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    assert len(named) > 10
    for file, name in named:
        assert f"\ndef {name}(" in (PROJECT / file).read_text(encoding="utf-8"), name


def test_a_page_has_one_sentence_a_line() -> None:
    two = re.compile(r"[a-z)`]\. [A-Z]")
    for page in PAGES:
        if page.parent.name == "reference" or page.name == "CONTRIBUTING.md":
            continue
        text = FENCED.sub("", page.read_text(encoding="utf-8"))
        for line in text.splitlines():
            # A list entry and a cell may hold more than one.
            assert line.startswith(("-", "|")) or not two.search(line), f"{page.name}: {line}"


@pytest.mark.parametrize("name", ["products.csv", "profile.toml"])
def test_the_pages_show_the_example_files_as_they_are(name: str) -> None:
    text = (PROJECT / "examples" / name).read_text(encoding="utf-8")
    page = {"products.csv": "tutorial.md", "profile.toml": "how-to/own-profile.md"}[name]
    assert f" {name}\n{text}```" in (PROJECT / "docs" / page).read_text(encoding="utf-8")


def test_the_example_profile_scores_the_example_products() -> None:
    examples = PROJECT / "examples"
    analysis = analyze(examples / "products.csv", profile=examples / "profile.toml")
    assert analysis.summary["tiers"] == {"High": 2, "Medium": 12, "Low": 6}


def test_the_example_script_runs(tmp_path: Path) -> None:
    examples = PROJECT / "examples"
    done = subprocess.run(
        [sys.executable, examples / "score.py", examples / "products.csv"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
        env={"PYTHONPATH": str(PROJECT / "src"), "SHELFWISE_DATA_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == "Analysis of 20 products, profile standard"
    assert done.stdout.splitlines()[-1].startswith("Wool blanket: 39.8 points, ")
