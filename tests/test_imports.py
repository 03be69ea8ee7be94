"""What `import shelfwise` costs and gives."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import shelfwise

HEAVY = ("duckdb", "flask", "joblib", "pandas", "polars", "pyarrow", "scipy", "sklearn", "waitress")


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after some code."""
    source = str(Path(shelfwise.__file__).parents[1])
    script = f"import sys; sys.path.insert(0, {source!r}); {code}; import json; " \
             "print(json.dumps(sorted(sys.modules)))"  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


def test_import_loads_no_engine_no_server_and_no_learning_library() -> None:
    loaded = modules_after("import shelfwise")
    assert "shelfwise" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_profiles_and_contract_need_no_engine() -> None:
    code = "import shelfwise as s; s.PROFILES, s.COLUMNS, s.METRICS, s.Profile, dir(s)"
    assert modules_after(code).isdisjoint(HEAVY)


def test_analyze_is_imported_when_it_is_asked_for() -> None:
    loaded = modules_after("from shelfwise import analyze")
    assert "polars" in loaded
    assert loaded.isdisjoint({"duckdb", "flask", "pandas", "pyarrow", "sklearn", "waitress"})


def test_applying_a_saved_model_needs_no_learning_library(tmp_path: Path) -> None:
    rows = [{"product_id": i, "name": "x", "price": 1.0 + i, "units_sold": i, "stock": 1}
            for i in range(5)]  # fmt: skip
    path = shelfwise.analyze(rows).model.save(tmp_path / "model.json")
    loaded = modules_after(
        f"import shelfwise; shelfwise.analyze({rows!r}, model={str(path)!r}).to_dict()"
    )
    assert loaded.isdisjoint({"flask", "joblib", "pandas", "scipy", "sklearn"})


def test_forecasts_load_their_library_when_one_is_made() -> None:
    loaded = modules_after("import shelfwise.sales.evaluation, shelfwise.sales.prices")
    assert "shelfwise.sales.forecasting" in loaded
    assert loaded.isdisjoint({"pandas", "pyspark", "scipy.stats", "statsforecast"})


def test_public_names_are_sorted_and_complete() -> None:
    names = shelfwise.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(shelfwise, name) is not None
    assert dir(shelfwise) == sorted(names)
    public = {name for name, value in vars(shelfwise).items()
              if not name.startswith("_") and not isinstance(value, type(sys))}  # fmt: skip
    assert public - set(names) <= {"TYPE_CHECKING", "Any", "import_module"}


def test_every_error_is_public_or_has_a_public_base() -> None:
    from shelfwise import errors

    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.ShelfwiseError)
    ]
    assert len(kinds) >= 10
    for kind in kinds:
        assert set(kind.__mro__) & {getattr(shelfwise, name) for name in shelfwise.__all__
                                    if name.endswith("Error")}  # fmt: skip
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        shelfwise.analyse  # noqa: B018  (asking is the test)


def test_only_the_module_of_models_can_load_a_pickle() -> None:
    folder = Path(shelfwise.__file__).parent
    loaders = {"pickle", "joblib", "cloudpickle", "dill", "marshal", "shelve"}
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            names += [getattr(node, "module", None) or "", getattr(node, "attr", "")]
            names += [word.arg or "" for word in getattr(node, "keywords", [])]
            used = {name.partition(".")[0] for name in names}
            if used & (loaders | {"read_pickle", "allow_pickle"}):
                found.add(path.relative_to(folder).as_posix())
    assert found == {"model.py"}
