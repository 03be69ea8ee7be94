"""Simulate what docs/trends.md claims: writes its tables and docs/images/trends-*.svg.

    python docs/trends_figures.py

Needs pymannkendall (the dependency group `figures`) and, for the placebo, the real data
that SHELFWISE_TEST_DATA names. Takes some minutes on two cores.
"""

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pymannkendall
from scipy import stats

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent / "src"), str(DOCS.parent / "tests" / "sales")]

from series import (  # noqa: E402  (the path comes first)
    LEVELS,
    UNCHANGED,
    Case,
    catalogue,
    department_years,
    retail_years,
    series,
    shuffled_years,
)

from shelfwise.sales.courses import judge, measure  # noqa: E402
from shelfwise.sales.growth import fit_growth, interval  # noqa: E402
from shelfwise.sales.har import (  # noqa: E402
    basis,
    benjamini_hochberg,
    level_jump,
    moderated,
    root,
    seasonal,
    statistic,
    two_sided,
)

Floats = np.ndarray
SAMPLE = 1_000
"""Series that the slow rivals see; ours sees them all."""


def least_squares(y: Floats) -> float:
    return float(stats.linregress(np.arange(len(y)), y).pvalue)


def poisson_glm(y: Floats, season: int = 52) -> float:
    """Quasi-Poisson regression on time and season; the dispersion from Pearson residuals."""
    t = np.arange(len(y))
    x = np.vstack([np.ones(len(y)), seasonal(t, season, 2), t / season - len(y) / season / 2]).T
    b = np.zeros(x.shape[1])
    b[0] = np.log(y.mean() + 0.01)
    for _ in range(30):
        mean = np.exp(np.clip(x @ b, -30, 30))
        step = np.linalg.lstsq((x.T * mean) @ x, x.T @ (y - mean), rcond=None)[0]
        b += np.clip(step, -2, 2)
        if abs(step).max() < 1e-8:
            break
    mean = np.exp(np.clip(x @ b, -30, 30))
    df = len(y) - x.shape[1]
    dispersion = ((y - mean) ** 2 / mean).sum() / df
    error = np.sqrt(dispersion * np.linalg.pinv((x.T * mean) @ x)[-1, -1])
    return float(2 * stats.t.sf(abs(b[-1]) / error, df))


def seasonal_kendall(y: Floats, season: int = 52) -> float:
    return float(pymannkendall.seasonal_test(y, period=season).p)


def kendall(y: Floats) -> float:
    return float(pymannkendall.original_test(y).p)


def hamed_rao(y: Floats) -> float:
    return float(pymannkendall.hamed_rao_modification_test(y).p)


RIVALS: dict[str, Callable[..., float]] = {
    "Mann-Kendall": kendall,
    "Hamed-Rao": hamed_rao,
    "seasonal Mann-Kendall": seasonal_kendall,
    "least squares": least_squares,
    "quasi-Poisson GLM": poisson_glm,
}


def _each(job: tuple[str, Floats, int]) -> list[float]:
    name, rows, season = job
    warnings.simplefilter("ignore")  # Some rivals divide by zero where hardly anything sold.
    more = {"season": season} if name in ("seasonal Mann-Kendall", "quasi-Poisson GLM") else {}
    return [RIVALS[name](y, **more) for y in rows]


def p_of_rivals(units: Floats, names: Iterable[str], season: int = 52) -> dict[str, Floats]:
    """p of each series by each rival."""
    found = {}
    with ProcessPoolExecutor(2) as pool:
        for name in names:
            jobs = [(name, part, season) for part in np.array_split(units, 20)]
            found[name] = np.concatenate(list(pool.map(_each, jobs)))
    return found


def ours(units: Floats, season: int = 52) -> Floats:
    """p without moderation: each series stands alone, as with the rivals."""
    made = basis(units.shape[1], season)
    z, s2 = statistic(root(units), made)
    usable = s2 > 1e-20
    t = np.where(usable, z / np.sqrt(np.where(usable, s2, 1)), np.nan)
    return two_sided(t, np.full(len(t), float(made.terms)))


def rate(p: Floats) -> float:
    """How often p < 0.05; a series that cannot be tested is no false alarm."""
    return float((p < 0.05).mean())


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def of_100(share: float) -> str:
    return f"{100 * share:.1f}%"


def false_alarms() -> tuple[str, str]:
    """The table of unchanged series, and its picture."""
    rows, points = [], {}
    for case in UNCHANGED:
        units = series(np.random.default_rng(11), 4_000, 260, *case)
        found = {"ours": rate(ours(units))}
        found |= {name: rate(p) for name, p in p_of_rivals(units[:SAMPLE], RIVALS).items()}
        rows.append([*case[:5], *map(of_100, found.values())])
        points[f"{case.lam:g} a week, phi {case.phi:g}, sd {case.sd:g}"] = found
        print(*rows[-1], flush=True)
    head = ["units a week", "phi", "sd", "season", "alpha", "ours", *RIVALS]
    return table(head, rows), dots(points, "False alarms at a nominal 5%")


EVEN = dict.fromkeys(LEVELS, 1 / len(LEVELS))


def discoveries() -> tuple[str, str]:
    """What is found, and how much of it is wrong, in a mixed range; what is found by level."""
    rows, lines = [], {}
    for levels, name in ((LEVELS, "long tail"), (EVEN, "even")):
        for weeks in (260, 208, 156):
            range_ = catalogue(np.random.default_rng(12), 30_000, weeks, levels)
            units, truth = range_.units, range_.growth != 0
            found = {"ours": judge(measure(units)).trend != 0}
            if name == "long tail":
                sample = p_of_rivals(units[: 6 * SAMPLE], ["Mann-Kendall", "Hamed-Rao"])
                found |= {rival: benjamini_hochberg(p) <= 0.05 for rival, p in sample.items()}
            else:
                lines[f"{weeks} weeks"] = [
                    (one, found["ours"][truth & (range_.lam == one)].mean()) for one in levels
                ]
            for method, called in found.items():
                true = truth[: len(called)]
                row = [name, weeks, method, of_100((~true[called]).mean())]
                rows.append([*row, of_100(called[true].mean())])
                print(*rows[-1], flush=True)
    head = ["range", "weeks", "method", "false among those called", "found of those trending"]
    title = "Found of the products that grow or shrink by a factor 1.5 a year"
    return table(head, rows), curves(lines, title)


def shifts() -> str:
    """How often a recent change is found, and how much of what is found is none."""
    rows = []
    for factor in (0.0, 0.5, 2.0):
        row: list[object] = [f"{factor:g}"]
        for weeks in (260, 156):
            chance = np.random.default_rng(51)
            units, _, lam = catalogue(chance, 30_000, weeks, share=0)
            changed = chance.random(len(units)) < 0.15
            last = units[changed, -13:]
            units[changed, -13:] = (
                chance.binomial(last.astype(int), factor) if factor < 1 else factor * last
            )
            called = judge(measure(units)).shift_q <= 0.05
            often = changed & (lam >= 3)
            row += [of_100((~changed[called]).mean()), of_100(called[often].mean())]
        rows.append(row)
    return table(
        ["sales of the last 13 weeks, times",
         *(f"{weeks} weeks: {what}" for weeks in (260, 156)
           for what in ("false among those called", "found of those with 3 a week or more"))],
        rows,
    )  # fmt: skip


def coverages() -> str:
    """How often the 95% interval of growth holds the truth."""
    rows = []
    for weeks in (260, 156, 104):
        for growth in (1.0, 1.5, 1 / 1.5):
            row: list[object] = [weeks, f"{growth:.3g}"]
            for phi, sd in ((0, 0), (0.5, 0.3), (0.8, 0.4)):
                for lam in (0.3, 3, 40):
                    case = Case(lam, phi, sd, 0.3, 0.2, float(np.log(growth)))
                    row.append(of_100(coverage(case, weeks)))
            rows.append(row)
    settings = [(phi, lam) for phi in (0, 0.5, 0.8) for lam in (0.3, 3, 40)]
    return table(
        ["weeks", "factor a year", *(f"phi {p}, {lam:g} a week" for p, lam in settings)], rows
    )


def coverage(case: Case, weeks: int) -> float:
    units = series(np.random.default_rng(21), 4_000, weeks, *case)
    made = basis(weeks)
    fit = fit_growth(units, made.c)
    noise = moderated(fit.log_growth, fit.s2, made.terms, units.mean(axis=1))
    low, high = interval(fit.log_growth, fit.information, fit.leverage, noise.s2, noise.df)
    truth = np.expm1(case.growth)
    return float(((low <= truth) & (truth <= high)).mean())


def jumps() -> str:
    """How often a confirmed trend is called a jump, by what it is."""
    rows = []
    for weeks in (260, 208, 156):
        chance = np.random.default_rng(31)
        units, growth, _ = catalogue(chance, 30_000, weeks)
        row = [weeks, of_100(called_jumps(units[growth != 0]))]
        for phi, sd in ((0, 0), (0.5, 0.3), (0.8, 0.4)):
            row.append(of_100(called_jumps(series(chance, 4_000, weeks, 10, phi, sd,
                                                  step=np.log(2)))))  # fmt: skip
        rows.append(row)
    head = ["weeks", "linear trends of the mixed range"]
    return table([*head, *(f"factor 2 at once, phi {phi}" for phi in (0, 0.5, 0.8))], rows)


def called_jumps(units: Floats) -> float:
    confirmed = units[judge(measure(units)).trend != 0]
    return float(level_jump(root(confirmed)).jump.mean())


def placebo() -> str:
    """Real years in random order, in which there is no trend."""
    folder = Path(os.environ["SHELFWISE_TEST_DATA"])
    chance = np.random.default_rng(41)
    retail = retail_years(folder / "us_retail_monthly" / "example_retail_sales.csv")
    walmart = department_years(folder / "walmart_weekly" / "walmart_sales_weekly.csv")
    rows = []
    for name, years, season, each in (
        ("US retail sales, 24 years of months", retail, 12, None),
        ("Walmart departments, 5 of 14 years of weeks", walmart, 52, 5),
    ):
        units = shuffled_years(chance, years, 4_000, each)
        found = {"ours": rate(ours(units, season))}
        theirs = p_of_rivals(units[:SAMPLE], RIVALS, season)
        found |= {rival: rate(p) for rival, p in theirs.items()}
        rows.append([name, *map(of_100, found.values())])
    return table(["series", "ours", *RIVALS], rows)


COLORS = ("#1b6ca8", "#c2571a", "#d59a1e", "#7b4b94", "#8a8a8a", "#2e7d32")


def picture(title: str, wide: int, high: int, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" '
        'font-family="sans-serif" font-size="13" fill="#333">'
    )
    ground = f'<rect width="{wide}" height="{high}" fill="#fff"/>'
    name = f'<text x="20" y="24" font-size="15">{title}</text>'
    return "\n".join([head, f"<title>{title}</title>", ground, name, *parts, "</svg>"]) + "\n"


def dots(points: dict[str, dict[str, float]], title: str) -> str:
    """A line for each case, a dot for each method, from 0 to 60%."""
    left, top, wide, row = 230, 50, 480, 34

    def at(share: float) -> float:
        return round(left + wide * min(share, 0.6) / 0.6, 1)

    bottom = top + row * len(points)
    parts = []
    for share in (0, 0.05, 0.2, 0.4, 0.6):
        color = "#b00" if share == 0.05 else "#ddd"
        parts.append(f'<path d="M{at(share)} {top}V{bottom}" stroke="{color}"/>')
        parts.append(f'<text x="{at(share)}" y="{bottom + 18}" text-anchor="middle">'
                     f"{100 * share:.0f}%</text>")  # fmt: skip
    names = list(next(iter(points.values())))
    for n, (case, found) in enumerate(points.items()):
        y = top + row * n + row // 2
        parts.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{case}</text>')
        parts.append(f'<path d="M{left} {y}h{wide}" stroke="#eee"/>')
        for color, (name, share) in reversed(list(zip(COLORS, found.items(), strict=True))):
            size = 6 if name == "ours" else 4.5
            parts.append(f'<circle cx="{at(share)}" cy="{y}" r="{size}" fill="{color}"/>')
    for n, (color, name) in enumerate(zip(COLORS, names, strict=True)):
        x, y = left - 190 + 235 * (n % 3), bottom + 48 + 22 * (n // 3)
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{color}"/>')
        parts.append(f'<text x="{x + 12}" y="{y}">{name}</text>')
    return picture(title, left + wide + 40, bottom + 85, parts)


def curves(lines: dict[str, list[tuple[float, float]]], title: str) -> str:
    """Shares against units a week, on a logarithmic axis."""
    left, top, wide, high = 60, 50, 440, 260
    low, most = np.log10(0.1), np.log10(40)
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = round(top + high * (1 - share), 1)
        parts.append(f'<path d="M{left} {y}h{wide}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    for n, (name, points) in enumerate(lines.items()):
        at = [
            (round(left + wide * (np.log10(lam) - low) / (most - low), 1),
             round(top + high * (1 - share), 1))
            for lam, share in points
        ]  # fmt: skip
        path = "L".join(f"{x} {y}" for x, y in at)
        parts.append(f'<path d="M{path}" fill="none" stroke="{COLORS[n]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{COLORS[n]}"/>' for x, y in at]
        x, y = at[-1][0], top  # Where they end they are too close for names.
        parts.append(f'<text x="{x + 10}" y="{y + 4 + 18 * n}" fill="{COLORS[n]}">{name}</text>')
        if n == 0:
            parts += [
                f'<text x="{x}" y="{top + high + 20}" text-anchor="middle">{lam:g}</text>'
                for (x, _), (lam, _) in zip(at, points, strict=True)
            ]
    foot = f'<text x="{left + wide / 2}" y="{top + high + 42}" text-anchor="middle">'
    parts.append(f"{foot}units a week</text>")
    return picture(title, left + wide + 110, top + high + 60, parts)


def main() -> None:
    page = DOCS / "trends.md"
    text = page.read_text(encoding="utf-8")
    alarms, alarms_picture = false_alarms()
    found, found_picture = discoveries()
    tables = {"false-alarms": alarms, "discoveries": found, "coverage": coverages(),
              "shifts": shifts(), "jumps": jumps(), "placebo": placebo()}  # fmt: skip
    for name, made in tables.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(pattern, lambda m, t=made: f"{m[1]}{t}\n{m[2]}", text, flags=re.S)
        assert count == 1, name
    page.write_text(text, encoding="utf-8")
    (DOCS / "images" / "trends-false-alarms.svg").write_text(alarms_picture, encoding="utf-8")
    (DOCS / "images" / "trends-found.svg").write_text(found_picture, encoding="utf-8")


if __name__ == "__main__":
    main()
