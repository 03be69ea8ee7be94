"""How much products grow in a year, and how far the last weeks are from what was usual.

Poisson pseudo-likelihood: the mean of weekly units is exp(level + season + growth x years).
It needs no Poisson data: the estimate is consistent for any data with that mean
(C. Gourieroux, A. Monfort and A. Trognon 1984, "Pseudo maximum likelihood methods",
Econometrica 52). A ridge of 4 on the annual logarithmic growth (as if half of all growths
lay within a third a year) and of 1 on each wave of the season make the estimate finite
for every series that sold anything.

For a mean of this form sums over weeks are sums over the phases of a year of sums over
years, so a step of Newton's method looks at season x products numbers instead of
weeks x products; the data enter through one matrix product. Nothing is approximated.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from shelfwise.sales.har import YEAR, Floats, Mask, harmonics_for, product, seasonal

RIDGE, WAVE_RIDGE = 4.0, 1.0
MOST_STEPS, LONGEST_STEP, TOLERANCE = 25, 1.5, 1e-3
"""The last step is at most the tolerance, and what it leaves about its square."""
PART = 384
"""Products whose weeks are looked at together. Fewer would fit the cache better, but cost more
calls, between which two threads wait for each other."""
BOUND = 14.0
"""A logarithm beyond this, a factor of a million, is no estimate."""

ESTIMATED, NOTHING_SOLD, NO_ESTIMATE, MASKED = map(np.int8, range(4))
WHY = (
    "",
    "nothing was sold",
    "its growth has no estimate: nearly all was sold at one end",
    "more than a fifth of its weeks do not count",
)

Codes = NDArray[np.int8]
Moments = Callable[[Floats, NDArray[np.intp]], Floats]


class Growth(NamedTuple):
    """Growth of each product before the noise of all is known.

    `log_growth` is the logarithm of the factor a year, `information` how sharply the units
    tell it (Poisson), `s2` the variance of the Pearson residuals at low frequencies (1 for
    Poisson), `leverage` how much more the weeks that decide the growth sell than the mean
    week. `code` is an index of `WHY`; where it is not 0 the others are NaN.
    """

    log_growth: Floats
    information: Floats
    s2: Floats
    leverage: Floats
    code: Codes


def fit_growth(units: Floats, rows: Floats, season: int = YEAR, kept: Mask | None = None) -> Growth:
    """The growth of each row of `units` (products x weeks).

    `rows` are the noise waves of `har.basis(...).c`, or with masks those of each product,
    products x B x weeks; `kept` (products x weeks) says which weeks count.

    >>> from shelfwise.sales.har import basis
    >>> units = np.round(20 * 1.25 ** (np.arange(208.0) / 52))[None]
    >>> fit = fit_growth(units, basis(208).c)
    >>> np.expm1(fit.log_growth).round(2).tolist()
    [0.25]
    """
    weeks = units.shape[1]
    design = Design.of(weeks, season)
    if kept is not None:
        units = np.where(kept, units, 0.0)
    total = units.sum(axis=1)
    theta, information, code = design.fitted(product(units, design.x.T).T, total, kept)
    s2, leverage = np.empty(len(units)), np.empty(len(units))
    for start in range(0, len(units), PART):
        part = slice(start, start + PART)
        own = rows if rows.ndim == 2 else rows[part]
        mask = None if kept is None else kept[part]
        s2[part], leverage[part] = _noise(
            design, theta[:, part], total[part], units[part], own, mask
        )
    return Growth(theta[-1], information, s2, leverage, code)


def _noise(
    design: "Design", theta: Floats, total: Floats, units: Floats, rows: Floats, kept: Mask | None
) -> tuple[Floats, Floats]:
    """`s2` and `leverage` of `Growth`."""
    half, scale, leverage = design.scaled(theta, total, kept)
    seen = projected(half, rows) * -scale
    seen += projected(np.divide(units, half, out=half), rows) / scale
    return np.square(seen).mean(axis=1), leverage


def projected(series: Floats, rows: Floats) -> Floats:
    """Each series on each of the rows, which are the same for all or its own."""
    if rows.ndim == 2:
        return product(series, rows.T)
    seen: Floats = np.matmul(rows, series[:, :, None])[:, :, 0]
    return seen


def interval(
    log_growth: Floats,
    information: Floats,
    leverage: Floats,
    s2: Floats,
    df: Floats,
    coverage: float = 0.95,
) -> tuple[Floats, Floats]:
    """The growth that a product may have, from and to, as shares a year.

    `s2` and `df` are as `har.moderated` gives them for `Growth.s2`. What exceeds the
    Poisson variance grows with the square of the mean, so it weighs more where the weeks
    that decide the growth are the strong ones.
    """
    s2 = np.where(s2 > 1, 1 + (s2 - 1) * leverage, s2)
    some, where = np.unique(df, return_inverse=True)
    finite = np.where(np.isinf(some), 1e9, some)
    reach = stdtrit(finite, 0.5 + coverage / 2)[where] * np.sqrt(s2 / information)
    return np.expm1(log_growth - reach), np.expm1(log_growth + reach)


def shift_share(units: Floats, window: int, season: int = YEAR, kept: Mask | None = None) -> Floats:
    """The last `window` weeks against the level of all weeks before and the season, as a share.

    0.2 is a fifth more than usual. NaN where nothing was sold before.
    """
    kept = np.ones(units.shape, bool) if kept is None else kept
    units = np.where(kept, units, 0.0)
    weeks = units.shape[1]
    design = Design.of(weeks, season)
    terms, wave = _products(design.wave), design.wave.T
    earlier, recent = units[:, :-window], units[:, -window:]
    phases = np.eye(season)[np.arange(weeks) % season]
    counts = phases[:-window].T @ kept[:, :-window].T
    last = phases[-window:].T @ kept[:, -window:].T

    def moments(theta: Floats, active: NDArray[np.intp]) -> Floats:
        return product(terms, np.exp(product(wave, theta)) * counts[:, active])

    xty = product(earlier, design.x[:-1, :-window].T).T
    total = earlier.sum(axis=1)
    ridge = np.full(len(xty), WAVE_RIDGE)
    theta, _, _ = _newton(moments, False, len(xty), xty, total, ridge)
    usual: Floats = np.exp(product(wave, theta))
    expected = total * (usual * last).sum(axis=0) / (usual * counts).sum(axis=0)
    share: Floats = recent.sum(axis=1) / np.where(expected > 0, expected, np.nan) - 1
    return share


class Design(NamedTuple):
    """The log-linear mean over weeks: waves of the season, then years since the middle."""

    weeks: int
    season: int
    wave: Floats
    """waves x season"""
    x: Floats
    """parameters x weeks"""

    @classmethod
    def of(cls, weeks: int, season: int) -> "Design":
        wave = seasonal(np.arange(season), season, harmonics_for(weeks, season))
        t = np.arange(weeks)
        years = (t - (weeks - 1) / 2) / season
        return cls(weeks, season, wave, np.vstack([wave[:, t % season], years]))

    def fitted(
        self, xty: Floats, total: Floats, kept: Mask | None = None
    ) -> tuple[Floats, Floats, Codes]:
        """Parameters x products, information and codes, from units times `x` and their totals."""
        ridge = np.append(np.full(len(self.wave), WAVE_RIDGE), RIDGE)
        return _newton(self.moments(kept), kept is None, len(self.wave), xty, total, ridge)

    def scaled(
        self, theta: Floats, total: Floats, kept: Mask | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Square roots of the means but for the level, the root of the level, and `leverage`."""
        phase, year = self.factors(theta / 2)
        half = (year[:, :, None] * phase[:, None, :]).reshape(len(phase), -1)[:, : self.weeks]
        if kept is None:
            sums = self._by_phase(0)
            phase, year = np.square(phase), np.square(year)
            m0, m1, m2 = sums(phase.T, year.T)
            s0, s1, s2 = sums(np.square(phase).T, np.square(year).T)
        else:
            u = self.x[-1]
            mean, powers = np.square(half) * kept, np.vstack([np.ones(len(u)), u, u * u]).T
            m0, m1, m2 = product(mean, powers).T
            s0, s1, s2 = product(np.square(mean), powers).T
        middle = m1 / m0
        weight = (s2 - 2 * middle * s1 + middle**2 * s0) / (m2 - middle * m1)
        leverage = weight * (self.weeks if kept is None else kept.sum(axis=1)) / m0
        return half, np.sqrt(total / m0)[:, None], leverage

    @property
    def years(self) -> Floats:
        """When each year begins, in years since the middle."""
        count = -(-self.weeks // self.season)
        return np.arange(count, dtype=float) - (self.weeks - 1) / 2 / self.season

    def factors(self, theta: Floats) -> tuple[Floats, Floats]:
        """exp(season + growth), without the level: of each phase of a year, and of each year."""
        within = np.arange(self.season) / self.season
        phase = np.exp(product(theta.T, np.vstack([self.wave, within])))
        return phase, np.exp(np.outer(theta[-1], self.years))

    def moments(self, kept: Mask | None) -> Moments:
        """Sums over the weeks of exp(season + growth) times what `_newton` needs."""
        if kept is None:
            sums = self._by_phase(len(self.wave))
            x = np.vstack([self.wave, np.arange(self.season) / self.season]).T

            def by_phase(theta: Floats, active: NDArray[np.intp]) -> Floats:
                growth = np.exp(np.outer(self.years, theta[-1]))
                return sums(np.exp(product(x, theta)), growth)

            return by_phase
        terms = _products(self.x[:-1], self.x[-1])
        counted = kept.T.astype(float)

        def moments(theta: Floats, active: NDArray[np.intp]) -> Floats:
            cells = np.exp(product(self.x.T, theta))
            return product(terms, cells * counted[:, active])

        return moments

    def _by_phase(self, k: int) -> Callable[[Floats, Floats], Floats]:
        """Sums over the weeks of what is a product of a phase and a year (each x products).

        They are weighted with the `_products` of the first k waves and the years.
        """
        within = np.arange(self.season) / self.season
        terms = _products(self.wave[:k], within)
        full, rest = divmod(self.weeks, self.season)
        # Phases of the last, unfinished year occur once more.
        parts = [(terms * (np.arange(self.season) >= rest), full)]
        parts += [(terms * (np.arange(self.season) < rest), full + 1)] if rest else []
        powers = self.years ** np.arange(3)[:, None]
        a = 1 + k + k * (k + 1) // 2  # Terms without growth.

        def sums(phase: Floats, year: Floats) -> Floats:
            out = np.zeros((a + k + 2, phase.shape[1]))
            for part, years in parts:
                e = product(part, phase)
                s0, s1, s2 = powers[:, :years] @ year[:years]
                out += e * s0
                out[a:-1] += e[: k + 1] * s1
                out[-1] += 2 * e[a] * s1 + e[0] * s2
            return out

        return sums


def _products(wave: Floats, years: Floats | None = None) -> Floats:
    """1, the waves, their products in pairs; then years, years x waves, years squared."""
    k, n = wave.shape
    i, j = np.triu_indices(k)
    terms = [np.ones((1, n)), wave, wave[i] * wave[j]]
    if years is not None:
        terms += [years[None], years * wave, years[None] ** 2]
    return np.vstack(terms)


def _places(p: int, waves: int) -> tuple[list[int], list[tuple[int, int]], list[int]]:
    """Where `_products` has each parameter, and each pair of them (i <= j)."""
    pairs = [(i, j) for i in range(p) for j in range(i, p)]
    a = 1 + waves + waves * (waves + 1) // 2
    firsts = [*range(1, waves + 1), a][:p]
    count = iter(range(1 + waves, a))
    seconds = [next(count) if j < waves else a + 1 + i for i, j in pairs]
    return firsts, pairs, seconds


def _newton(
    moments: Moments, alike: bool, waves: int, xty: Floats, total: Floats, ridge: Floats
) -> tuple[Floats, Floats, Codes]:
    """Ridged estimates, parameters x products; the information on the last one; codes.

    The level is profiled out: given a product's total its units fall on the weeks as a
    multinomial, whose log-likelihood is concave. Where no weeks are masked all products
    begin `alike`.
    """
    p, n = xty.shape
    firsts, pairs, seconds = _places(p, waves)
    i, j = np.array(pairs).T
    diagonal = i == j
    theta = np.zeros((p, n))
    information = np.full(n, np.nan)
    code = np.where(total > 0, NO_ESTIMATE, NOTHING_SOLD)
    active = np.flatnonzero(total > 0)
    for count in range(MOST_STEPS):
        if not len(active):
            break
        seen = active[:1] if alike and not count else active
        sums = moments(theta[:, seen], seen)
        sold = total[active]
        mean = sums[firsts] / sums[0]
        hessian = (sums[seconds] / sums[0] - mean[i] * mean[j]) * sold
        hessian[diagonal] += ridge[:, None]
        gradient = xty[:, active] - sold * mean - ridge[:, None] * theta[:, active]
        step, last = _solved(dict(zip(pairs, hessian, strict=True)), gradient)
        size = np.abs(step).max(axis=0)
        step *= np.minimum(1, LONGEST_STEP / np.maximum(size, LONGEST_STEP))
        moved = np.clip(theta[:, active] + step, -BOUND, BOUND)
        theta[:, active] = moved
        information[active] = last - ridge[-1]
        settled = size <= TOLERANCE
        code[active[settled]] = ESTIMATED
        active = active[~settled]
    # At the bound it settled on nothing.
    code[(code == ESTIMATED) & (np.abs(theta).max(axis=0) >= BOUND)] = NO_ESTIMATE
    theta[:, code != ESTIMATED] = np.nan
    information[code != ESTIMATED] = np.nan
    return theta, information, code


def _solved(h: dict[tuple[int, int], Floats], g: Floats) -> tuple[Floats, Floats]:
    """One symmetric system of equations a column, by LDL'; also the last pivot.

    The last pivot is the information on the last parameter when the others are unknown.
    """
    p = len(g)
    low: dict[tuple[int, int], Floats] = {}
    x = g.copy()
    for j in range(p):
        pivot = h[j, j]
        for i in range(j + 1, p):
            low[i, j] = h[j, i] / pivot
            x[i] -= low[i, j] * x[j]
            for k in range(j + 1, i + 1):
                h[k, i] = h[k, i] - low[i, j] * h[j, k]
    last = h[p - 1, p - 1]
    for j in reversed(range(p)):
        x[j] /= h[j, j]
        for i in range(j + 1, p):
            x[j] -= low[i, j] * x[i]
    return x, last
