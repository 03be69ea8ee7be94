"""How stock is judged and orders are sized: the settings of inventory, and of what rests on it."""

from typing import Annotated, Literal

import msgspec

from shelfwise.insights.decisions import setting


class InventoryPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stock is held for, and when there is too much of it."""

    review_days: Annotated[
        float, setting("Days between two looks at what to order.", ge=0, le=365)
    ] = 7.0
    lead_time_days: (
        Annotated[
            float,
            setting(
                "Days from order to receipt, where a product has none.",
                ge=0,
                le=3650,
            ),
        ]
        | None
    ) = None
    lead_time_sd: (
        Annotated[
            float,
            setting(
                "Standard deviation of the lead time in days, where a product has none.",
                ge=0,
                le=3650,
            ),
        ]
        | None
    ) = None
    service: Annotated[
        Literal["class", "cost"],
        setting(
            "Where the service level comes from: the ABC class, or what a missing unit and a unit "
            "kept cost."
        ),
    ] = "class"
    service_a: Annotated[float, setting("Service level of class A.", ge=0.5, le=0.999)] = 0.98
    service_b: Annotated[float, setting("Service level of class B.", ge=0.5, le=0.999)] = 0.95
    service_c: Annotated[
        float, setting("Service level of class C, and of what has no class.", ge=0.5, le=0.999)
    ] = 0.90
    holding_share: Annotated[
        float, setting("What a unit kept for a year costs, as a share of its cost.", gt=0, le=5)
    ] = 0.25
    order_cost: (
        Annotated[
            float,
            setting(
                "What ordering a product costs, however many units; then orders are at least the "
                "economic quantity.",
                ge=0,
            ),
        ]
        | None
    ) = None
    overstock_days: Annotated[
        float,
        setting(
            "What stock is more than enough for is counted over so many days, or over lead time "
            "and review where they are longer.",
            gt=0,
            le=3650,
        ),
    ] = 91.0
    overstock_level: Annotated[
        float,
        setting(
            "How probable it is that the units called too much are not sold in these days.",
            ge=0.5,
            le=0.999,
        ),
    ] = 0.95
    dead_days: Annotated[
        float, setting("Stock is dead after so many days without a sale, at the earliest.", gt=0)
    ] = 180.0
    dead_chance: Annotated[
        float, setting("And only if so long a silence was less probable than this.", gt=0, lt=1)
    ] = 0.05
    new_days: Annotated[float, setting(
        "A product first sold less than so many days ago is watched, and nothing else.",
        ge=0)] = 91.0  # fmt: skip


USUAL = InventoryPolicy()
StockSettings = Annotated[
    InventoryPolicy | None,
    setting(
        "How stock is judged and orders are sized: settings of inventory. If not given, those "
        "that the inventory of the run was made with, else the usual ones."
    ),
]
"""A setting of all questions that rest on what inventory says."""
