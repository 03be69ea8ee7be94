"""Which offers to take: the largest sum under a budget, a count and caps, with a proven gap.

A multiple-choice knapsack: an item is taken once at most, at one of its offers. Its linear
relaxation gives a price for each limit, and with them a bound that no choice exceeds; a
mixed-integer programme then decides about the items that the prices leave open.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

CORE = 1_000
"""Items that the mixed-integer programme decides about."""
START, MORE = 3_000, 2_000
"""Items in the first linear programme, and how many at most each further one adds."""
ROUNDS = 60
GAP, FEW = 1e-5, 300
"""The programme stops when no choice can gain more than this share; up to so many offers it does
not stop before the optimum."""
NODES, LEAST_NODES = 200_000, 100
"""Branches times offers; a bound in work, not in time, gives the same choice each time."""
EXACT = 1e-9
ROOM = 1e-6
"""How far the solver may overstep a limit; it is solved again with so much less if it does."""


class Offers(NamedTuple):
    """Offers, one a row: the item and the group that it belongs to, what it gains and costs.

    Items and groups are numbers from 0. Gains may be negative, costs may not.
    """

    item: Ints
    group: Ints
    gain: Floats
    cost: Floats


class Limits(NamedTuple):
    """What a choice may take: money, items, and items of each group; infinity for no limit."""

    budget: float
    most: float
    caps: Floats


@dataclass(frozen=True, slots=True)
class Choice:
    """The offers taken, what they gain, and the most that any choice could.

    `relaxed` is the bound of the linear programme alone. `bound` is that of the mixed-integer one
    instead, where reduced costs prove that changing any item not open to that costs more.
    `optimal` says that no choice gains more.
    """

    taken: Mask
    gain: float
    bound: float
    relaxed: float
    optimal: bool

    @property
    def gap(self) -> float:
        """How much more than `gain` some choice could gain at most, as a share of the bound."""
        return 0.0 if self.bound <= 0 else max(0.0, 1 - self.gain / self.bound)


def choose(offers: Offers, limits: Limits, core: int = CORE) -> Choice:
    """The offers whose gains add up to the most.

    Args:
        offers: What there is to take.
        limits: What may be taken.
        core: How many items the mixed-integer programme decides about; all others are
            taken or left as the linear programme has them.

    Example:
        >>> offers = Offers(*map(np.array, ([0, 1, 2], [0, 0, 0], [6.0, 5, 5], [6.0, 5, 5])))
        >>> choose(offers, Limits(10.0, np.inf, np.array([np.inf]))).taken
        array([False,  True,  True])
    """
    rows = _useful(offers, limits)
    taken = np.zeros(len(offers.item), dtype=bool)
    if not len(rows):
        return Choice(taken, 0.0, 0.0, 0.0, True)
    item = np.unique(offers.item[rows], return_inverse=True)[1].astype(np.int64)
    some = Offers(item, offers.group[rows], offers.gain[rows], offers.cost[rows])
    uses, room = _limits(some, limits)
    if not len(room):
        best = _best(some.gain, item)
        taken[rows[best]] = True
        gain = float(some.gain[best].sum())
        return Choice(taken, gain, gain, gain, True)
    share, prices = _relaxed(some, uses, room)
    reduced = some.gain - prices @ uses
    relaxed = float(prices @ room + np.maximum(_most(reduced, item), 0).sum())
    opened, fixed = _core(share, reduced, item, core)
    mine, most = _decided(some, uses, room, opened, fixed)
    whole = share > 1 - EXACT
    # The whole part of the linear programme is a choice too, if the other one ran out of work.
    if some.gain[mine].sum() < some.gain[whole].sum():
        mine = whole
    taken[rows[mine]] = True
    gain = float(some.gain[mine].sum())
    otherwise = relaxed - _loss(reduced, item, opened, fixed)
    bound = max(gain, min(relaxed, max(most, otherwise)))
    return Choice(taken, gain, bound, max(gain, relaxed), gain >= bound * (1 - EXACT))


def _useful(offers: Offers, limits: Limits) -> Ints:
    """Offers that an optimum may need: they gain, they fit, and no cheaper one gains more."""
    fits = (offers.gain > 0) & (offers.cost <= limits.budget) & (limits.caps[offers.group] >= 1)
    if limits.most < 1:
        fits[:] = False
    rows = np.flatnonzero(fits)
    table = pl.DataFrame({"row": rows, "item": offers.item[rows], "gain": offers.gain[rows],
                          "cost": offers.cost[rows]})  # fmt: skip
    before = pl.col("gain").cum_max().shift(1).over("item")
    table = table.sort("item", "cost", "gain", descending=[False, False, True])
    kept = table.filter((pl.col("gain") > before) | before.is_null())
    return kept["row"].sort().to_numpy().astype(np.int64)


def _limits(offers: Offers, limits: Limits) -> tuple[Any, Floats]:
    """What each offer uses of each limit that can bind, as shares of it, and the room: ones."""
    from scipy import sparse

    columns = np.arange(len(offers.item))
    items = pl.DataFrame({"item": offers.item, "group": offers.group, "cost": offers.cost})
    items = items.group_by("item").agg(pl.col("group").first(), pl.col("cost").max())
    in_group = np.bincount(items["group"].to_numpy(), minlength=len(limits.caps))
    caps = np.floor(limits.caps)
    capped = np.flatnonzero(in_group > caps)
    rows, room = [], []
    if items["cost"].sum() > limits.budget:
        # Shares of the largest cost: the solver's tolerances are absolute.
        most = float(offers.cost.max())
        rows.append(sparse.csr_array(offers.cost[None, :] / most))
        room.append(limits.budget / most)
    if items.height > limits.most:
        rows.append(sparse.csr_array(np.ones((1, len(columns)))))
        room.append(np.floor(limits.most))
    if len(capped):
        place = np.full(len(caps), -1)
        place[capped] = np.arange(len(capped))
        there = np.flatnonzero(place[offers.group] >= 0)
        entries = (np.ones(len(there)), (place[offers.group[there]], there))
        rows.append(sparse.csr_array(entries, shape=(len(capped), len(columns))))
        room += caps[capped].tolist()
    if not rows:
        return sparse.csc_array((0, len(columns))), np.zeros(0)
    return sparse.vstack(rows).tocsc(), np.array(room)


def _relaxed(offers: Offers, uses: Any, room: Floats) -> tuple[Floats, Floats]:
    """The share of each offer in the linear programme, and the price of each limit.

    It is solved for a part of the items, then those that gain more than the prices of what
    they use come in, until none does: the result is that of all items.
    """
    from scipy.optimize import linprog

    scale = float(offers.gain.max())
    items = int(offers.item.max()) + 1
    used = (1 / room) @ uses
    worth = _most(offers.gain / (used + EXACT), offers.item)
    active = np.zeros(items, dtype=bool)
    active[np.argsort(-worth, kind="stable")[:START]] = True
    share, prices = np.zeros(len(offers.item)), np.zeros(len(room))
    for _ in range(ROUNDS):
        some = np.flatnonzero(active[offers.item])
        rows, ones = _stacked(uses, room, offers.item, some)
        solved = linprog(-offers.gain[some] / scale, A_ub=rows, b_ub=ones, bounds=(0, 1))
        if solved.x is None:
            break  # The prices before still give a bound, and their share a choice.
        share[:] = 0
        share[some] = solved.x
        prices = np.maximum(-solved.ineqlin.marginals[: len(room)], 0) * scale
        open_to = _most(offers.gain - prices @ uses, offers.item)
        more = np.flatnonzero((open_to > EXACT * scale) & ~active)
        if not len(more):
            break
        active[more[np.argsort(-open_to[more], kind="stable")[:MORE]]] = True
    return share, prices


def _stacked(uses: Any, room: Floats, item: Ints, some: Ints) -> tuple[Any, Floats]:
    """The limits, and for each item of several offers the row that it is taken once at most."""
    from scipy import sparse

    _, place, count = np.unique(item[some], return_inverse=True, return_counts=True)
    several = count > 1
    at = np.cumsum(several) - 1
    columns = np.flatnonzero(several[place])
    once = sparse.csr_array(
        (np.ones(len(columns)), (at[place[columns]], columns)),
        shape=(int(several.sum()), len(some)),
    )
    rows = sparse.vstack([uses[:, some], once]).tocsc()
    return rows, np.concatenate([room, np.ones(once.shape[0])])


def _core(share: Floats, reduced: Floats, item: Ints, core: int) -> tuple[Mask, Mask]:
    """The offers that stay open, and those that are taken for certain.

    Open are the items of the smallest reduced cost. That of what the linear programme takes
    is 0; if that is more than half of the core, the surest are taken, so that others come in.
    """
    gain = _most(reduced, item)
    whole = share > 1 - EXACT
    taken = np.zeros(len(gain), dtype=bool)
    taken[item[whole]] = True
    parts = np.zeros(len(gain), dtype=bool)
    parts[item[(share > EXACT) & ~whole]] = True
    order = np.lexsort((np.abs(gain), ~parts))
    inside, outside = order[taken[order]], order[~taken[order]]
    least_sure = inside[: max(core // 2, core - len(outside))]
    opened = np.zeros(len(gain), dtype=bool)
    opened[least_sure] = True
    opened[outside[: core - len(least_sure)]] = True
    return opened[item], whole & ~opened[item]


def _decided(
    offers: Offers, uses: Any, room: Floats, opened: Mask, fixed: Mask
) -> tuple[Mask, float]:
    """The best choice among the open offers, beside the fixed ones, and a bound on all such."""
    from scipy.optimize import LinearConstraint, milp

    some = np.flatnonzero(opened)
    if not len(some):
        return fixed, float(offers.gain[fixed].sum())
    left = np.maximum(room - uses[:, np.flatnonzero(fixed)].sum(axis=1), 0)
    scale = float(offers.gain[some].max())
    less = 0.0
    for _ in range(4):
        rows, most = _stacked(uses, left * (1 - less), offers.item, some)
        nodes = max(LEAST_NODES, NODES // len(some))
        with _apart():
            solved = milp(
                -offers.gain[some] / scale,
                constraints=LinearConstraint(rows, ub=most),
                integrality=np.ones(len(some)),
                bounds=(0, 1),
                options={"mip_rel_gap": GAP if len(some) > FEW else EXACT, "node_limit": nodes},
            )
        if solved.x is None:
            break
        taken = fixed.copy()
        taken[some] = solved.x > 0.5
        if (uses[:, np.flatnonzero(taken)].sum(axis=1) <= room * (1 + EXACT)).all():
            most = offers.gain[fixed].sum() - solved.mip_dual_bound * scale
            return taken, np.inf if less else float(most)
        less = 2 * ROOM if not less else 10 * less
    return fixed, np.inf


@contextmanager
def _apart() -> Iterator[None]:
    """What the solver prints goes to standard error.

    HiGHS prints a line for solutions that it mends, whatever its options say; on standard
    output it would stand in the middle of an answer.
    """
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(1)
        except OSError:  # There is no standard output.
            yield
            return
        try:
            sys.stdout.flush()
            os.dup2(2, 1)
            yield
        finally:
            ctypes.pythonapi.fflush(None)
            os.dup2(kept, 1)
            os.close(kept)


_ONE_AT_A_TIME = Lock()


def _loss(reduced: Floats, item: Ints, opened: Mask, fixed: Mask) -> float:
    """By how much any choice that treats an item that was not open otherwise is below the bound.

    To take an item that the prices speak against costs the bound its reduced cost; to leave
    one that they speak for, what that is above the item's next best offer.
    """
    best = _most(np.where(fixed, -np.inf, reduced), item)
    settled = np.zeros(len(best), dtype=bool)
    settled[item[fixed]] = True
    # The other offers of a fixed item are what it would be changed to.
    shut = ~opened & (fixed | ~settled[item])
    loss = np.where(fixed, reduced - np.maximum(best[item], 0), -reduced)
    return float(loss[shut].min(initial=np.inf))


def _most(values: Floats, item: Ints) -> Floats:
    """The largest value of each item."""
    found = np.full(int(item.max()) + 1, -np.inf)
    np.maximum.at(found, item, values)
    return found


def _best(values: Floats, item: Ints) -> Ints:
    """The row of each item's largest value; the first one of equal ones."""
    order = np.lexsort((np.arange(len(item)), -values, item))
    first = np.r_[True, np.diff(item[order]) > 0]
    return order[first].astype(np.int64)
