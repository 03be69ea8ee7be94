"""The data-quality report: what each rule touched among the order lines, with examples."""

from dataclasses import asdict, dataclass, field
from typing import Any

EXAMPLES = 3
OUTSIDE = "outside_the_period"
"""The finding of lines of days that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: how many lines (or products) it touched, and what was done.

    `action` is "left out", "counted" (with the meaning beside), or "told" (nothing was
    done). `units` and `revenue` are sums over the lines, signs kept; 0 where none are known.
    """

    name: str
    action: str
    meaning: str
    lines: int = 0
    products: int = 0
    units: float = 0.0
    revenue: float = 0.0
    examples: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Quality:
    """All that was found; `lines` = `counted` + `left_out` + `unreadable`.

    `first` and `last` are the days of the counted lines, as 2026-01-31.
    """

    lines: int
    counted: int
    left_out: int
    unreadable: int
    first: str | None
    last: str | None
    net_units: float
    net_revenue: float
    gross_units: float
    gross_revenue: float
    findings: tuple[Finding, ...] = field(default=())

    def __getitem__(self, name: str) -> Finding:
        """The finding of that name; KeyError where nothing was found."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self) | {"findings": [asdict(f) for f in self.findings]}

    def __str__(self) -> str:
        lines = [
            f"{self.lines:,} order lines, {self.first} to {self.last}: {self.counted:,} counted, "
            f"{self.left_out:,} left out, {self.unreadable:,} unreadable",
            f"  net revenue {self.net_revenue:,.2f} of {self.net_units:,.6g} units "
            f"(before returns {self.gross_revenue:,.2f} of {self.gross_units:,.6g})",
        ]
        for f in self.findings:
            touched = f"{f.lines:,} lines" if f.lines else f"{f.products:,} products"
            money = f", revenue {f.revenue:,.2f}" if f.units or f.revenue else ""
            lines.append(f"  {f.name}: {touched}{money}; {f.action}. {f.meaning}")
        return "\n".join(lines)
