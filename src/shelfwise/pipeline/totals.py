"""What the whole catalogue adds up to: weights that count, concentration, classes, clusters."""

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from shelfwise.formula import Values, where
from shelfwise.model import Model
from shelfwise.pipeline.table import DIRECT, Arrays, Floats, Frame, Table
from shelfwise.pipeline.tier import LABELS, tied

A_SHARE, B_SHARE = 0.80, 0.95
SILHOUETTE_SAMPLE = 3_000


def summarize(table: Table, model: Model) -> dict[str, float]:
    """Sums and counts of the scored table, collected in two passes."""
    columns = table.columns
    first: dict[str, Values] = {
        "avg_score": columns["performance_score"].sum(),
        "max_score": columns["performance_score"].max(),
        "total_revenue": columns["revenue"].sum(),
        "tied_high": tied(columns, model.cut_high).sum(),
        "tied_low": tied(columns, model.cut_low).sum(),
    }
    for scale in model.scales:
        first[f"mean_{scale.metric}"] = columns[f"contribution_{scale.metric}"].sum()
    found = table.collect(first)
    for name in found:
        # A sum and a division: numpy's mean costs several times as much on small arrays.
        if name == "avg_score" or name.startswith("mean_"):
            found[name] /= table.height
    gap = columns["performance_score"] - found["avg_score"]
    second: dict[str, Values] = {"variance": (gap * gap).sum()}
    for scale in model.scales:
        own = columns[f"contribution_{scale.metric}"] - found[f"mean_{scale.metric}"]
        second[f"cov_{scale.metric}"] = (own * gap).sum()
    return found | table.collect(second)


def effective_weights(
    found: Mapping[str, float], model: Model, height: int
) -> dict[str, float | None]:
    """How much each metric really moves the score: w Cov(z, s) / Var(s), adding up to 1.

    None where every product scores the same. Paruolo, Saisana, Saltelli (2013), "Ratings
    and rankings: voodoo or science?", JRSS A 176.
    """
    variance = found["variance"]
    return {
        scale.metric: found[f"cov_{scale.metric}"] / variance if variance > 1e-18 * height else None
        for scale in model.scales
    }


def abc_cuts(table: Table, measure: str = "revenue") -> tuple[float, float]:
    """The smallest values that are still A, and still B."""
    cut_a, cut_b = table.shares(measure, (A_SHARE, B_SHARE))
    return cut_a, cut_b


def abc_class(value: Values, cuts: tuple[float, float]) -> Values:
    """Codes of ABC classes (see ABC) by the share earned before the item.

    A while strictly larger values hold under 80% of the positive total, B under 95%,
    else C; zero and negative values are N. Equal values share a class; so do values that
    agree to 1e-12, because sums of lines differ that much from one engine to another.
    """
    cut_a, cut_b = (cut * (1 - 1e-12) for cut in cuts)
    classes = where(value >= cut_a, 3, where(value >= cut_b, 2, 1))
    return where(value > 0, classes, 0)


ABC = {3: "A", 2: "B", 1: "C", 0: "N"}


def concentration(table: Table, measure: str = "revenue") -> dict[str, Any]:
    """How unevenly a measure is spread over the products.

    `hhi` is the sum of squared shares, `effective_number` 1 / hhi, `gini` as usual,
    with losses counted as 0, and None where nothing was earned; the `top` products
    earn `top_share` (80% or just above).

    >>> import numpy as np
    >>> from shelfwise.pipeline.table import Arrays
    >>> round(concentration(Arrays({"revenue": np.array([30., 30, 20, 20])}))["hhi"], 12)
    0.26
    """
    value = table.columns[measure]
    positive = where(value > 0, value, 0.0)
    found = table.collect(
        {
            "total": positive.sum(),
        }
    )
    total = found["total"]
    if not total > 0:
        return {"hhi": None, "effective_number": None, "gini": None, "top": 0, "top_share": None}
    (cut,) = table.shares(measure, (A_SHARE,))
    top = (value >= cut) & (value > 0)
    table = table.with_columns({"_up": positive, "_down": 0.0 - positive})
    table = table.rank("_up", "_from_top").rank("_down", "_from_below")
    columns = table.columns
    # The mean of both competition ranks is the average rank, so ties need no care:
    # sum x (2 i - n - 1) = sum x (from_below - from_top).
    spread = columns["_up"] * (columns["_from_below"] - columns["_from_top"])
    share = columns["_up"] / total
    found |= table.collect(
        {
            "top": where(top, 1.0, 0.0).sum(),
            "top_sum": where(top, value, 0.0).sum(),
            "spread": spread.sum(),
            "squares": (share * share).sum(),
        }
    )
    hhi = found["squares"]
    return {
        "hhi": hhi,
        "effective_number": 1 / hhi,
        "gini": found["spread"] / (table.height * total),
        "top": int(found["top"]),
        "top_share": found["top_sum"] / total,
    }


def clustering(table: Table, model: Model) -> dict[str, Any]:
    """Sizes, silhouette of a sample, and the adjusted Rand index against the quota tiers."""
    counted = table.counts("_quota", "cluster")
    quota_by_cluster = {(t, c): counted.get((t, c), 0) for t in LABELS for c in LABELS}
    sizes = {LABELS[c]: sum(quota_by_cluster[t, c] for t in LABELS) for c in LABELS}
    names = [f"z_{scale.metric}" for scale in model.scales]
    sample = _sample(table, [*names, "cluster"])
    silhouette = None
    if len(np.unique(sample[:, -1])) > 1 and len(sample) > len(np.unique(sample[:, -1])):
        from sklearn.metrics import silhouette_score

        silhouette = float(silhouette_score(sample[:, :-1], sample[:, -1]))
    counts = np.array([[quota_by_cluster[t, c] for c in LABELS] for t in LABELS], float)
    return {"sizes": sizes, "silhouette": silhouette, "adjusted_rand_index": _rand(counts)}


def _sample(table: Table, names: list[str]) -> Floats:
    """Up to 3,000 rows, evenly through the table in the order of their scores."""
    step = max(1, -(-table.height // SILHOUETTE_SAMPLE))
    if isinstance(table, Frame):
        # Up to so many rows the sample is that of a table in memory; beyond, rows are
        # thinned by their digits first, without an order or a random number.
        thin = max(1, table.height // DIRECT)
        digits = (nw.col(names[0]) * 1e9).floor() + nw.col("_key")
        frame = table.frame if thin == 1 else table.frame.filter(digits % thin == 0)
        rows = Frame(frame, table.height, table.keeper).matrix([*names, "_key"])
        table = Arrays(dict(zip([*names, "_key"], rows.T, strict=True)))
        step = max(1, -(-table.height // SILHOUETTE_SAMPLE))
    columns = [np.asarray(table.columns[name]) for name in ("_key", *names)]
    order = np.lexsort(columns[::-1])[::step]
    return np.column_stack([np.asarray(table.columns[name])[order] for name in names])


def _rand(counts: Floats) -> float:
    """Hubert and Arabie (1985) from the cross-table; 1 where both are one single class."""
    both, rows, cols, total = (
        float((x * (x - 1) / 2).sum())
        for x in (counts, counts.sum(1), counts.sum(0), counts.sum(keepdims=True))
    )
    expected = rows * cols / total if total else 0.0
    most = (rows + cols) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)
