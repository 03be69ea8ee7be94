"""A generated shop for trying every feature on: the same seed gives the same shop.

Years of orders hide a known set of stories (rising, dead, sold out and so on), and
`Shop.planted` names the products behind each, so a test can ask whether they are found.
"""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Random = np.random.Generator


class Category(NamedTuple):
    """What a category sells, and when: `swing` around `peak` (day of the year), plus `gifts`.

    A good is (noun, usual price, sizes); a bar parts the sizes. `abroad` holds finished names.
    """

    name: str
    size: int
    peak: int
    swing: float
    gifts: float
    styles: str
    brands: tuple[str, ...]
    goods: tuple[tuple[str, int, str], ...]
    abroad: tuple[tuple[str, int], ...]


CATEGORIES = (
    Category("Kitchen", 80, 330, 0.20, 0.5, "Classic|Everyday|Nordic|Matte|Rustic|Compact",
        ("Brambleknob", "Potterfjord", "Kettlewisp"), (("Frying Pan", 34, "20 cm|24 cm|28 cm"),
        ("Stockpot", 49, "3 l|5 l|8 l"), ("Chef's Knife", 39, "16 cm|20 cm"),
        ("Mixing Bowl", 14, "1 l|2 l|4 l"), ("Storage Jar", 7, "0.5 l|1 l|2 l"),
        ("Stand Mixer", 219, "4 l|6 l")),
        (("Spätzlepresse aus Edelstahl", 34), ("Planche à découper en hêtre, 40 cm", 29),
        ("竹蒸笼 双层", 22), ("स्टील का मसाला डिब्बा", 27), ("ครกหินพร้อมสาก", 32))),
    Category("Garden", 70, 135, 0.75, 0.0, "Sturdy|Cottage|Pro|Slim|Evergreen|Foldaway",
        ("Mossgrumble", "Fernwobble", "Dandelgrove"), (("Plant Pot", 9, "15 cm|22 cm|30 cm"),
        ("Watering Can", 17, "5 l|10 l"), ("Hand Trowel", 8, "Narrow|Wide"),
        ("Garden Hose", 29, "15 m|25 m|50 m"), ("Raised Bed", 79, "80 cm|120 cm"),
        ("Solar Lantern", 15, "Single|Pair|Set of 4")),
        (("Gießkanne für Gemüsebeete, 10 l", 26), ("Rastrillo de jardín para niños", 12),
        ("Γλάστρα από τερακότα", 18), ("Лейка садовая, 5 л", 15), ("فانوس حديقة معدني", 38))),
    Category("Outdoor", 60, 190, 0.55, 0.1, "Trail|Summit|Ultralight|Basecamp|Weekend|Coastal",
        ("Trekbadger", "Gustnook", "Pinewhistle"), (("Tent", 149, "2 Person|3 Person|4 Person"),
        ("Daypack", 59, "18 l|26 l"), ("Sleeping Bag", 85, "Regular|Long"),
        ("Head Torch", 24, "200 lm|400 lm"), ("Water Bottle", 15, "0.5 l|0.75 l|1 l"),
        ("Dry Bag", 13, "5 l|10 l|20 l")),
        (("Schlafsack für kühle Nächte", 89), ("Gourde isotherme « forêt », 750 ml", 24),
        ("Коврик туристический", 29), ("折りたたみキャンプチェア", 49), ("등산 스틱 세트", 45))),
    Category("Toys & Games", 70, 350, 0.35, 1.6, "Wooden|Junior|Magic|Jumbo|Pocket|Rainbow",
        ("Snorkelpip", "Giggleforge", "Tumbletoad"),
        (("Building Blocks", 25, "50 pcs|100 pcs|200 pcs"), ("Plush Bear", 18, "20 cm|35 cm|60 cm"),
        ("Jigsaw Puzzle", 12, "100 pcs|500 pcs|1000 pcs"), ("Dolls' House", 99, "S|L"),
        ("Train Set", 45, "20 pcs|40 pcs"), ("Card Game", 9, "2-4 Players|3-8 Players")),
        (("Матрёшка, пять кукол", 28), ("Piñata de cumpleaños", 19), ("משחק קופסה משפחתי", 35),
        ("折り紙セット 200枚", 9), ("木制拼图 100片", 16), ("Rocket Kit 🚀 to the Moon", 25))),
    Category("Stationery", 65, 245, 0.40, 0.1, "Plain|Linen|Recycled|Pastel|Executive|Student",
        ("Inkwaddle", "Quillmonk", "Papernewt"), (("Notebook", 6, "A6|A5|A4"),
        ("Fountain Pen", 29, "Fine|Medium"), ("Gel Pens", 8, "4 Pack|8 Pack|12 Pack"),
        ("Desk Pad", 21, "60 cm|80 cm"), ("Sticky Notes", 3, "100 Sheets|400 Sheets"),
        ("Wall Planner", 12, "A3|A2")),
        (("Füllfederhalter »Märchen«", 42), ("Cahier à spirale, papier ligné", 6),
        ("מחברת שורות בכריכה קשה", 8), ("毛笔套装", 21), ("한지 편지지 세트", 12))),
    Category("Home Textiles", 55, 15, 0.30, 0.3, "Soft|Washed|Striped|Waffle|Velvet|Quilted",
        ("Snoozeloom", "Flufferton", "Wovenmoth"), (("Cushion Cover", 13, "40 cm|50 cm"),
        ("Throw", 39, "130 cm|150 cm|200 cm"), ("Duvet Cover", 55, "Single|Double|King"),
        ("Bath Towel", 17, "70 cm|100 cm"), ("Curtain", 48, "140 cm|220 cm"),
        ("Rug", 119, "60 x 90 cm|120 x 170 cm")),
        (("Couverture tissée côtelée", 64), ("Κουβέρτα μάλλινη", 69), ("وسادة قطنية مطرزة", 24),
        ("सूती चादर, डबल बेड", 32), ("ผ้าคลุมเตียงผ้าฝ้าย", 59))),
    Category("Pet Supplies", 50, 100, 0.08, 0.2, "Happy|Cosy|Rugged|Gentle|Natural|City",
        ("Waggletuft", "Purrbucket", "Biscuitpaw"), (("Dog Lead", 16, "1.2 m|2 m|5 m"),
        ("Cat Tree", 89, "80 cm|140 cm"), ("Food Bowl", 9, "0.3 l|0.8 l"), ("Pet Bed", 38, "S|M|L"),
        ("Chew Toy", 7, "Small|Large"), ("Dry Food", 24, "2 kg|5 kg|10 kg")),
        (("강아지 산책 하네스", 27), ("Миска для кошки", 11),
        ("Katzenhöhle aus Filz, weiß-grün", 36), ("Catnip Mouse 🐭 Trio", 8))),
    Category("Tea & Coffee", 50, 5, 0.35, 0.6, "Morning|Golden|Harvest|Velvet|Slow|Bistro",
        ("Steepsprite", "Grumblebean", "Beanmoose"), (("Black Tea", 7, "100 g|250 g|500 g"),
        ("Herbal Tea", 5, "20 Bags|40 Bags"), ("Espresso Beans", 11, "250 g|500 g|1 kg"),
        ("Teapot", 34, "0.6 l|1.2 l"), ("French Press", 31, "0.35 l|1 l"),
        ("Espresso Machine", 389, "9 bar|15 bar")),
        (("鉄瓶 0.8 L", 79), ("紫砂茶壶 200 毫升", 49), ("إبريق شاي نحاسي", 55),
        ("Μπρίκι για ελληνικό καφέ", 17), ("מטחנת קפה ידנית", 39), ("ชาตะไคร้ 20 ซอง", 6))),
)  # fmt: skip

# Supplier n serves category n modulo 8: name, country, lead time in days, smallest order.
SUPPLIERS = (
    ("Wobblewood", "GB", 12, 250), ("Grunkelbach", "DE", 7, 150), ("Moonbarrow", "NL", 9, 200),
    ("Oddsock", "IE", 14, 120), ("Fjordknuckle", "NO", 16, 400), ("Pamplefleur", "FR", 10, 180),
    ("Zanzibimble", "IT", 13, 220), ("Tinkerquay", "BE", 6, 100), ("Lastwick", "PT", 21, 300),
    ("Snickerdoon", "GB", 11, 150), ("Quabberdorf", "AT", 8, 160), ("Plimsolari", "IT", 15, 260),
    ("Nimbustoad", "PL", 9, 140), ("Mufflemarsh", "DK", 10, 200), ("Crumpetstone", "GB", 18, 350),
    ("Bumblebrücke", "DE", 5, 90), ("Yakadoodle", "TR", 28, 600), ("Doppelmuffin", "CH", 7, 280),
    ("Tangleweed", "ES", 12, 170), ("Mirthpebble", "CZ", 9, 130), ("Boompaloft", "CN", 45, 1200),
    ("Gloamingham", "GB", 10, 110), ("Wigglekelp", "SE", 13, 240), ("Sprocketvale", "SK", 8, 150),
    ("Umbrellaphant", "GR", 17, 210),
)  # fmt: skip
UNRELIABLE = 8  # Lastwick

# Each story: how many products, fewest lines a day, last sale between so many days before the end.
# The outlier and the hidden gem are chosen by price instead.
KINDS = (
    ("rising", 40, 0.3, 0, 0), ("falling", 40, 0.3, 0, 0), ("sold_out", 12, 0.8, 3, 21),
    ("dead", 12, 0.2, 400, 680), ("overstocked", 12, 0.3, 0, 0), ("new", 14, 0.6, 0, 0),
    ("discontinued", 12, 0.2, 60, 300), ("below_cost", 6, 0.0, 0, 0),
)  # fmt: skip
WEEKDAYS = (1.10, 1.00, 0.95, 0.97, 1.05, 1.15, 0.78)  # Monday first
QUANTITIES, QUANTITY_ODDS = (1, 2, 3, 4, 6), (0.72, 0.17, 0.06, 0.03, 0.02)
PROMOTIONS, PROMOTION_ODDS = (0, 10, 15, 20, 30), (0.94, 0.02, 0.02, 0.01, 0.01)  # % off, a week
VOUCHER, VOUCHER_ODDS = 10, 0.04  # % off a whole order
RETURN_ODDS, CANCEL_ODDS = 0.021, 0.01
LINES_A_DAY, DISPERSION, OUTLIER_FACTOR = 200.0, 1.5, 12.5
WINDOW, FIRST_ID, CUSTOMERS = 365, 1001, 8000


@dataclass(frozen=True, eq=False)
class Shop:
    """The tables of a shop, and which product ids or suppliers stand behind each story."""

    products: pl.DataFrame
    order_lines: pl.DataFrame
    suppliers: pl.DataFrame
    receipts: pl.DataFrame
    planted: dict[str, list[int | str]]


class _Range(NamedTuple):
    """What is settled before the first sale; days of sale count from `start`, that from 1970."""

    names: list[tuple[str, str]]
    category: Ints
    supplier: Ints
    cents: Ints
    kinds: dict[str, Ints]
    first: Ints
    last: Ints
    start: int
    days: int


def make_shop(seed: int = 7, *, end: date = date(2026, 10, 31), years: int = 4) -> Shop:
    """Build the shop as it stands on `end`, with at least two years of orders up to that day."""
    if years < 2:
        raise ValueError(f"years must be at least 2, not {years}")
    rng = np.random.default_rng(seed)
    days = round(365.25 * years)
    offer = _range(rng, (end - date(1970, 1, 1)).days - days + 1, days)
    lines = _order_lines(rng, offer)
    products = _products(rng, offer, lines)
    planted: dict[str, list[int | str]] = {
        kind: [int(place) + FIRST_ID for place in places] for kind, places in offer.kinds.items()
    }
    planted["unreliable_supplier"] = [SUPPLIERS[UNRELIABLE][0]]
    schema = ["supplier", "country", "lead_time_days", "min_order_value"]
    suppliers = pl.DataFrame(SUPPLIERS, schema, orient="row")
    return Shop(products, lines, suppliers, _receipts(rng, offer, products), planted)


def write_shop(shop: Shop, folder: Path) -> dict[str, Path]:
    """Write the tables and return their paths by name; a file appears only once complete."""
    paths = {name: folder / f"{name}.csv" for name in ("products", "suppliers", "receipts")}
    paths["order_lines"] = folder / "order_lines.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in paths.items():
        table: pl.DataFrame = getattr(shop, name)
        draft = folder / f".{path.name}.{os.getpid()}.tmp"
        try:
            if path.suffix == ".csv":
                table.write_csv(draft, float_precision=2)
            else:
                table.rechunk().write_parquet(draft, compression="zstd", row_group_size=100_000)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    return paths


def _range(rng: Random, start: int, days: int) -> _Range:
    """Choose what is sold, from whom, at which price, and which product plays which part."""
    rows: list[tuple[str, str, int, float]] = []
    for number, kind in enumerate(CATEGORIES):
        made = [
            (f"{brand} {style} {noun} {size}", brand, number, price * (1 + 0.35 * step))
            for brand in kind.brands
            for style in kind.styles.split("|")
            for noun, price, sizes in kind.goods
            for step, size in enumerate(sizes.split("|"))
        ]
        picks = rng.permutation(len(made))[: kind.size - len(kind.abroad)]
        rows += [(name, kind.brands[0], number, price) for name, price in kind.abroad]
        rows += [made[place] for place in picks]
    rows = [rows[place] for place in rng.permutation(len(rows))]
    count = len(rows)
    category = np.array([row[2] for row in rows])
    served = (len(SUPPLIERS) - 1 - category) // len(CATEGORIES) + 1
    usual = np.array([row[3] for row in rows], dtype=np.float64)
    cents = _shelf_price(usual * rng.uniform(0.75, 1.3, count))

    outlier, gem = int(cents.argmax()), int(np.abs(cents - 2400).argmin())
    kinds = {"outlier": np.array([outlier]), "hidden_gem": np.array([gem])}
    free = rng.permutation(np.setdiff1d(np.arange(count), [outlier, gem]))
    first, last = np.zeros(count, dtype=np.int64), np.full(count, days - 1)
    for part, size, _, soonest, latest in KINDS:
        kinds[part], free = np.sort(free[:size]), free[size:]
        last[kinds[part]] -= rng.integers(soonest, latest + 1, size)
    first[free[:50]] = days - rng.integers(120, min(1200, days - 30), 50)
    first[kinds["new"]] = days - rng.integers(14, 84, kinds["new"].size)
    first[gem] = days - 120
    names = [row[:2] for row in rows]
    supplier = category + len(CATEGORIES) * rng.integers(0, served)
    return _Range(names, category, supplier, cents, kinds, first, last, start, days)


def _shelf_price(euros: Floats) -> Ints:
    """Move amounts to prices a shop would print: 4.99, 12.50, 34.95, 249.00; in cents."""
    cents = euros * 100
    halves, whole, tens = (np.rint(cents / step) * step for step in (50, 100, 1000))
    bands = [cents < 1000, cents < 3000, cents < 10000]
    return np.select(bands, [halves - 1, halves, whole - 5], tens - 100).astype(np.int64)


def _expected_lines(rng: Random, offer: _Range, promotion: Ints) -> Floats:
    """Mean order lines by product and day: level, season, weekday, trend and promotion."""
    count, days, kinds = offer.cents.size, offer.days, offer.kinds
    level = rng.lognormal(0.0, 0.9, count).clip(0.15, 6.0) * (offer.cents / 2000) ** -0.4
    level = np.maximum(level * LINES_A_DAY / level.sum(), 0.05)
    for part, _, least, _, _ in KINDS:
        level[kinds[part]] = np.maximum(level[kinds[part]], least)
    growth = np.zeros(count)
    for part, sign in (("rising", 1), ("falling", -1)):
        growth[kinds[part]] = sign * np.log(rng.uniform(1.3, 1.8, kinds[part].size))

    day = np.arange(days)
    dates = (offer.start + day).astype("M8[D]")
    of_year = (dates - dates.astype("M8[Y]")).astype(np.int64)
    facts = np.array([(kind.swing, kind.peak, kind.gifts) for kind in CATEGORIES])
    swing, peak, gifts = facts[offer.category].T[:, :, None]
    season = 1 + swing * np.cos(2 * np.pi * (of_year - peak) / 365.25)
    season += gifts * np.exp(-(((of_year - 346) / 12) ** 2))
    expected: Floats = level[:, None] * season * (1 + 0.03 * promotion)
    expected *= np.array(WEEKDAYS)[(offer.start + day + 3) % 7]  # day 0 of 1970 was a Thursday
    expected *= np.exp(growth[:, None] * (day - days / 2) / 365.25)
    expected *= (day >= offer.first[:, None]) & (day <= offer.last[:, None])

    revenue = expected[:, -WINDOW:].sum(axis=1) * offer.cents
    outlier, gem = kinds["outlier"][0], kinds["hidden_gem"][0]
    peers = revenue[offer.category == offer.category[gem]]
    expected[gem] *= np.quantile(peers, 0.33) / revenue[gem]
    expected[outlier] *= OUTLIER_FACTOR * np.delete(revenue, outlier).max() / revenue[outlier]
    # Machines differ in the last digit of a cosine; rounded, they all draw the same numbers.
    return expected.round(6)


def _order_lines(rng: Random, offer: _Range) -> pl.DataFrame:
    """Draw the sales as orders of some lines; a return keeps the order id of its sale."""
    count, start, days = offer.cents.size, offer.start, offer.days
    weeks = rng.choice(PROMOTIONS, (count, days // 7 + 1), p=PROMOTION_ODDS)
    promotion = weeks[:, np.arange(days) // 7]
    expected = _expected_lines(rng, offer, promotion)
    drawn = rng.negative_binomial(DISPERSION, DISPERSION / (DISPERSION + expected.T)).ravel()
    cell = np.repeat(np.arange(drawn.size), drawn)
    cell = cell[np.argsort(cell // count + rng.random(cell.size), kind="stable")]
    opens = rng.random(cell.size) < 0.6
    opens[1:] |= np.diff(cell // count) > 0
    quantity = rng.choice(QUANTITIES, cell.size, p=QUANTITY_ODDS)
    keys = {"order": np.cumsum(opens), "cell": cell}
    # A product bought twice in one order becomes one line with the summed quantity.
    merged = pl.DataFrame({**keys, "quantity": quantity}).group_by(*keys).sum().sort(*keys)
    order, cell, quantity = (merged[name].to_numpy() for name in ("order", "cell", "quantity"))
    day, product = np.divmod(cell, count)

    orders = int(order[-1]) + 1
    customer = (1 + CUSTOMERS * rng.random(orders) ** 2).astype(np.int64)[order]
    completed = (rng.random(orders) >= CANCEL_ODDS)[order]
    voucher = np.where(rng.random(orders) < VOUCHER_ODDS, VOUCHER, 0)[order]
    off = np.maximum(promotion[product, day], voucher)
    number, person = pl.Series(order).cast(pl.String), pl.Series(customer).cast(pl.String)
    sales = pl.DataFrame(
        {
            "product_id": product + FIRST_ID,
            "date": (start + day).astype("M8[D]"),
            "quantity": quantity,
            "unit_price": (offer.cents[product] * (100 - off) + 50) // 100 / 100,
            "order_id": "O" + number.str.zfill(7),
            "status": np.where(completed, "completed", "cancelled"),
            "customer": "C" + person.str.zfill(5),
        }
    )
    back, edge = day + rng.integers(3, 21, day.size), days - WINDOW
    # A return counted in the last year without its sale could make that year's total negative.
    kept = completed & (back < days) & ((day >= edge) == (back >= edge))
    kept &= rng.random(day.size) < RETURN_ODDS
    returned = pl.Series(-rng.integers(1, quantity + 1))
    returned_on = pl.Series((start + back).astype("M8[D]"))
    returns = sales.with_columns(date=returned_on, quantity=returned)
    lines = pl.concat([sales, returns.filter(pl.Series(kept))])
    return lines.sort("date", "order_id", "product_id")


def _products(rng: Random, offer: _Range, lines: pl.DataFrame) -> pl.DataFrame:
    """Describe the range as it stands on the last day: totals, costs, stock and ordering."""
    count, kinds, opening = offer.cents.size, offer.kinds, offer.days - WINDOW
    in_window = lines["date"].to_physical() >= offer.start + opening
    window = lines.filter(in_window, status="completed")
    product, quantity = window["product_id"].to_numpy() - FIRST_ID, window["quantity"].to_numpy()
    spent = quantity * np.rint(window["unit_price"].to_numpy() * 100)
    units = np.bincount(product, quantity, count).astype(np.int64)
    on_sale = offer.last - np.maximum(offer.first, opening) + 1
    daily = np.maximum(units, 1) / np.maximum(on_sale, 1)
    lead = np.array([row[2] for row in SUPPLIERS])[offer.supplier]
    late = np.where(offer.supplier == UNRELIABLE, 6.0, 0.0)
    share = rng.uniform(0.40, 0.75, count)
    share[kinds["hidden_gem"]] = 0.30
    share[kinds["below_cost"]] += 0.63

    stock = np.ceil(daily * rng.uniform(12, 110, count)).astype(np.int64)
    stock[kinds["sold_out"]] = 0
    stock[kinds["hidden_gem"]] = 1
    stock[kinds["dead"]] = rng.integers(5, 80, kinds["dead"].size)
    stock[kinds["discontinued"]] = rng.integers(-10, 12, kinds["discontinued"].size).clip(0)
    many = kinds["overstocked"]
    stock[many] = np.ceil(units[many] * rng.uniform(2.4, 5.0, many.size)).astype(np.int64)

    ended = np.isin(np.arange(count), kinds["discontinued"])
    pack = np.where(offer.cents >= 8000, 1, rng.choice((1, 2, 4, 6, 12), count))
    least = pack * rng.integers(1, 5, count)
    wanted = (stock < daily * lead * 1.5) & ~ended & (units > 0) & (rng.random(count) < 0.6)
    packs = np.ceil(np.maximum(daily * (lead + 30), least) / pack).astype(np.int64)
    launched = (offer.start + offer.first).astype("M8[D]")
    return pl.DataFrame(
        {
            "product_id": np.arange(count) + FIRST_ID,
            "name": [name for name, _ in offer.names],
            "price": offer.cents / 100,
            "units_sold": units,
            "stock": stock,
            "net_revenue": np.bincount(product, spent, count) / 100,
            "unit_cost": np.rint(offer.cents * share) / 100,
            "category": [CATEGORIES[number].name for number in offer.category],
            "brand": [brand for _, brand in offer.names],
            "supplier": [SUPPLIERS[number][0] for number in offer.supplier],
            "on_order": np.where(wanted, packs * pack, 0),
            "lead_time_days": lead,
            "lead_time_sd": (rng.uniform(0.8, 2.0, count) + late).round(1),
            "pack_size": pack,
            "min_order_qty": least,
            "launch_date": np.where(offer.first > 0, launched, np.datetime64("NaT", "D")),
            "discontinued": ended,
            "currency": ["EUR"] * count,
        }
    )


def _receipts(rng: Random, offer: _Range, products: pl.DataFrame) -> pl.DataFrame:
    """Deliveries of the last two years, about as much as was sold, some late or short."""
    start, days = offer.start, offer.days
    names = ("units_sold", "lead_time_days", "pack_size", "min_order_qty")
    units, lead, pack, least = (products[name].to_numpy() for name in names)
    batch = -(-np.maximum(least, units // 5) // pack) * pack
    earliest = np.maximum(offer.first - lead, days - 2 * WINDOW)
    room = np.minimum(offer.last, days - 1 - lead) - earliest
    times = np.minimum(2 * units // batch, room // 20).clip(0, 10)

    at = np.repeat(np.arange(times.size), times)
    turn = np.arange(at.size) - np.repeat(np.cumsum(times) - times, times)
    part = (turn + rng.uniform(0.0, 0.9, at.size)) / times[at]  # at least a day between orders
    ordered = earliest[at] + (room[at] * part).astype(np.int64)
    quantity = batch[at] + pack[at] * rng.integers(0, 2, at.size)
    poor = np.arange(len(SUPPLIERS)) == UNRELIABLE
    on_time = np.where(poor, 0.42, rng.uniform(0.89, 0.98, poor.size))
    in_full = np.where(poor, 0.60, rng.uniform(0.94, 0.99, poor.size))
    supplier = offer.supplier[at]
    early, delay = rng.integers(0, 3, at.size), rng.integers(1, np.where(poor, 22, 6)[supplier])
    shift = np.where(rng.random(at.size) < on_time[supplier], -early, delay)
    received = ordered + lead[at] + shift
    less = np.maximum(quantity * rng.uniform(0.5, 0.95, at.size), 1).astype(np.int64)
    full = rng.random(at.size) < in_full[supplier]
    table = pl.DataFrame(
        {
            "supplier": products["supplier"].gather(at),
            "product_id": products["product_id"].gather(at),
            "ordered": (start + ordered).astype("M8[D]"),
            "promised": (start + ordered + lead[at]).astype("M8[D]"),
            "received": (start + received).astype("M8[D]"),
            "ordered_quantity": quantity,
            "received_quantity": np.where(full, quantity, less),
        }
    )
    return table.filter(pl.Series(received < days)).sort("ordered", "product_id")
