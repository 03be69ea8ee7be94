"""Models by name: versions that never change, aliases that move."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import shelfwise
from kinds import shop
from shelfwise.drift import Training, drift
from shelfwise.errors import InputError, NotFoundError
from shelfwise.settings import Settings
from shelfwise.store import Store


def test_the_first_version_is_current_and_later_ones_wait(store: Store) -> None:
    runs = [store.runs.save(shelfwise.analyze(shop(10 + n))) for n in range(3)]
    versions = [store.train("shop", run.id) for run in runs]
    assert [version.version for version in versions] == [1, 2, 3]
    assert store.models.get("shop").version == 1
    assert store.models.get("shop@current").model == runs[0].model
    assert store.models.get("shop@3").model == runs[2].model
    assert store.models.get("shop@latest").version == 3
    store.models.point("shop", "current", 3)
    assert store.models.get("shop").version == 3
    store.models.point("shop", "current", 2)
    assert store.models.get("shop").model == runs[1].model
    assert [(v.version, v.aliases) for v in store.models.all("shop")] == [
        (3, ()), (2, ("current",)), (1, ())
    ]  # fmt: skip


def test_a_model_scores_the_same_after_a_restart(
    settings_of: Callable[..., Settings], analysis: shelfwise.Analysis
) -> None:
    with Store(settings_of()) as store:
        store.models.add("shop", analysis.model, alias="tried")
    with Store(settings_of()) as store:
        kept = store.models.get("shop@tried")
    assert kept.model == analysis.model
    assert kept.aliases == ("current", "tried")
    assert shelfwise.analyze(shop(), model=kept.model).products.equals(analysis.products)


def test_a_model_outlives_its_run(store: Store, analysis: shelfwise.Analysis) -> None:
    run = store.runs.save(analysis)
    assert store.train("shop", run.id).run_id == run.id
    store.runs.delete(run.id)
    kept = store.models.get("shop")
    assert kept.run_id is None
    assert kept.training is not None


@pytest.mark.parametrize("reference", ["nothing", "shop@9", "shop@old", "shop@", "@current", ""])
def test_a_model_that_is_not_there_is_said(store: Store, reference: str) -> None:
    if reference == "shop@":
        store.models.add("shop", shelfwise.analyze(shop()).model)
        assert store.models.get(reference).version == 1
        return
    with pytest.raises(NotFoundError, match="There is no model"):
        store.models.get(reference)


@pytest.mark.parametrize("name", ["", "a b", "../etc", "x" * 65, "shop@1", "é"])
def test_names_that_do_not_fit_are_refused(
    store: Store, analysis: shelfwise.Analysis, name: str
) -> None:
    with pytest.raises(InputError, match="model name"):
        store.models.add(name, analysis.model)


@pytest.mark.parametrize("alias", ["latest", "7", "a b"])
def test_aliases_that_would_mislead_are_refused(
    store: Store, analysis: shelfwise.Analysis, alias: str
) -> None:
    with pytest.raises(InputError, match="alias"):
        store.models.add("shop", analysis.model, alias=alias)
    with pytest.raises(NotFoundError):
        store.models.get("shop")  # Refused whole: no version stays behind.


def test_the_same_products_do_not_drift(store: Store, analysis: shelfwise.Analysis) -> None:
    run = store.runs.save(analysis)
    store.train("shop", run.id)
    found = store.drift(run.id, "shop")
    assert {one.metric for one in found} == {"revenue", "stock_ratio", "sales_velocity"}
    assert all(one.psi == 0 and one.verdict == "stable" and one.clipped == 0 for one in found)


def test_products_that_sell_ten_times_more_have_shifted(store: Store) -> None:
    first = store.runs.save(shelfwise.analyze(shop(200)))
    version = store.train("shop", first.id)
    more = store.runs.save(shelfwise.analyze(shop(200, times=10), model=version.model))
    revenue = next(one for one in store.drift(more.id, "shop") if one.metric == "revenue")
    assert revenue.verdict == "shifted"
    assert revenue.above == pytest.approx(0.9, abs=0.05)
    assert revenue.below == 0


def test_the_stability_index_is_that_of_its_definition() -> None:
    """Against a plain loop over ten equal bins, with half a product where a bin is empty."""
    then = shelfwise.analyze(shop(300))
    now = shelfwise.analyze(shop(150, times=1.6), model=then.model)
    training = Training.of(then.products.lazy(), then.model)
    again = Training.from_dict(json.loads(json.dumps(training.to_dict())))
    assert again == training
    found = {one.metric: one.psi for one in drift(now.products.lazy(), then.model, again)}
    for name in ("revenue", "sales_velocity"):
        before, after = np.sort(then.products[name]), now.products[name].to_list()
        edges = sorted({before[int(np.ceil(len(before) * k / 10)) - 1] for k in range(1, 10)})
        expected = 0.0
        for low, high in zip([-np.inf, *edges], [*edges, np.inf], strict=True):
            old = max(sum(low < v <= high for v in before) / 300, 0.5 / 300)
            new = max(sum(low < v <= high for v in after) / 150, 0.5 / 150)
            expected += (new - old) * np.log(new / old)
        assert found[name] == pytest.approx(expected, rel=1e-9)


def test_a_model_without_training_data_still_tells_what_it_clips(
    store: Store, tmp_path: Path
) -> None:
    first = shelfwise.analyze(shop(50))
    first.model.save(tmp_path / "m.json")
    store.models.add("shop", shelfwise.Model.load(tmp_path / "m.json"))
    more = store.runs.save(shelfwise.analyze(shop(50, times=3), model=first.model))
    revenue = next(one for one in store.drift(more.id, "shop") if one.metric == "revenue")
    assert revenue.psi is None
    assert revenue.verdict is None
    assert revenue.clipped > 0.5
