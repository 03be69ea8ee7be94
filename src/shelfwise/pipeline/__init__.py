"""The steps from checked products to scored ones.

`fit` looks at all products and returns a Model, a handful of numbers; `apply` writes the
columns that follow from a model. Steps are pure and stand in files named for them:

    check  features  normalize  score  tier  cluster  totals
"""

from shelfwise.errors import InputError, ModelError
from shelfwise.model import Model, Scale, Tiering
from shelfwise.pipeline.cluster import cluster, fit_centers
from shelfwise.pipeline.normalize import fit_scales, normalize
from shelfwise.pipeline.score import key, score
from shelfwise.pipeline.table import Table
from shelfwise.pipeline.tier import fit_cuts, tier
from shelfwise.profile import Profile


def fit(table: Table, profile: Profile, tiering: Tiering, coreset_rows: int) -> Model:
    """Learn ranges, cuts and centers from a table that has its metrics."""
    withheld = _withheld(table, profile)
    scales = fit_scales(table, profile, withheld)
    table = _scored(table, scales)
    table = table.checkpoint([*(f"z_{scale.metric}" for scale in scales), "_key"])
    cut_high, cut_low = fit_cuts(table, profile.high_share, profile.low_share)
    return Model(
        profile=profile,
        scales=scales,
        withheld=withheld,
        cut_high=cut_high,
        cut_low=cut_low,
        centers=fit_centers(table, scales, coreset_rows),
        products=table.height,
        tiering=tiering,
    )


def apply(table: Table, model: Model) -> Table:
    """The table with normalized metrics, contributions, score, tier and cluster codes.

    Raises ModelError where the model weighs a metric that the products do not have.
    """
    for scale in model.scales:
        if scale.metric not in table.columns:
            raise ModelError(
                f"The model weighs {scale.metric}, which these products do not have.",
                "Give the missing columns, or fit a model without it.",
            )
    table = _scored(table, model.scales, clipped=model.clip)
    table = cluster(table, model.scales, model.centers)
    quota = tier(table.columns["_key"], model.cut_high, model.cut_low)
    table = table.with_columns({"_quota": quota})
    chosen = table.columns["cluster" if model.tiering == "kmeans" else "_quota"]
    return table.with_columns({"performance_tier": chosen})


def tiers_under(table: Table, profile: Profile) -> Table:
    """The table with the scores and quota tiers of another profile, without clusters."""
    table = _scored(table, fit_scales(table, profile, _withheld(table, profile)))
    cut_high, cut_low = fit_cuts(table, profile.high_share, profile.low_share)
    return table.with_columns({"performance_tier": tier(table.columns["_key"], cut_high, cut_low)})


def _withheld(table: Table, profile: Profile) -> tuple[str, ...]:
    """The weighed metrics that the products' columns do not allow."""
    withheld = tuple(t.metric for t in profile.terms if t.metric not in table.columns)
    if len(withheld) == len(profile.terms):
        raise InputError(
            f"No metric of profile {profile.name} can be computed: stock is not given.",
            "Give the stock column, or choose another profile.",
        )
    return withheld


def _scored(table: Table, scales: tuple[Scale, ...], *, clipped: bool = True) -> Table:
    table = table.with_columns(normalize(table.columns, scales, clipped=clipped))
    table = table.with_columns(score(table.columns, scales))
    return table.with_columns({"_key": key(table.columns["performance_score"])})
