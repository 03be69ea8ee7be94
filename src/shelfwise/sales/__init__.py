"""Order lines: counted into products here; their course over time will be told here too."""

from shelfwise.sales.lines import Sold, from_sales

__all__ = ["Sold", "from_sales"]
