"""Catalogues to measure on: lognormal prices, sales and stock, as real ones are."""

from typing import Any

import numpy as np


def catalogue(n: int, seed: int = 1) -> dict[str, Any]:
    """Columns of n products; a tenth never sold, a twentieth is sold out."""
    rng = np.random.default_rng(seed)
    units = np.floor(rng.lognormal(3.0, 1.5, n))
    stock = np.floor(rng.lognormal(3.0, 1.5, n))
    units[rng.random(n) < 0.1] = 0
    stock[rng.random(n) < 0.05] = 0
    return {
        "product_id": np.arange(n),
        "name": np.array([f"Product {i}" for i in range(n)], object),
        "price": np.round(rng.lognormal(3.0, 1.0, n), 2) + 0.01,
        "units_sold": units.astype(np.int64),
        "stock": stock.astype(np.int64),
    }


def rows(n: int, seed: int = 1) -> list[dict[str, Any]]:
    """The same as a list of dicts, with prices at two decimals."""
    columns = {name: values.tolist() for name, values in catalogue(n, seed).items()}
    columns["price"] = [round(price, 2) for price in columns["price"]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
