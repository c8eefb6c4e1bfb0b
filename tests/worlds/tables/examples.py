"""Small tables for tests: people, whose rows stand alone, and payments of users through time."""

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

CITIES = {"Oslo": 30, "Rome": 50, "Bonn": 70}
"""The mean age of the people of a city."""


def people(count: int = 400, seed: int = 1) -> list[dict[str, str]]:
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        city = rng.choice(list(CITIES))
        rows.append(
            {
                "age": str(CITIES[city] + rng.randrange(-5, 6)),
                "city": city,
                "born": f"19{rng.randrange(50, 90)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
                "score": rng.choice(["NA", f"{rng.uniform(0, 9):.2f}", f"{rng.uniform(0, 9):.2f}"]),
                "note": " ".join(
                    rng.choice(["the", "dog", "saw", "a", "small", "red", "boat", "at", "sea"]) for _ in range(8)
                ),
                "code": f"secret{number:05d}x",
            }
        )
    return rows


def write_people(path: Path, rows: list[dict[str, str]] | None = None) -> Path:
    return write(path, rows or people())


def write_payments(path: Path, users: int = 60, seed: int = 1) -> Path:
    """Users of a city pay through time: rent of 900 or food of less than 50, with the balance of all before."""
    rng, rows = random.Random(seed), []
    for user in range(users):
        city, at, balance = rng.choice(list(CITIES)), datetime(2024, 1, 1) + timedelta(days=rng.randrange(60)), 0.0
        for _ in range(rng.randrange(3, 15)):
            days = rng.choice([0, 1, 1, 2, 7])
            at = (at + timedelta(days=days)).replace(hour=rng.randrange(7, 12)) if days else at + timedelta(minutes=7)
            kind = rng.choice(["food", "rent"])
            amount = 900 if kind == "rent" else round(rng.uniform(3, 50), 2)
            balance += amount
            row = {"user_id": f"u{user}", "city": city, "time": at.strftime("%Y-%m-%d %H:%M"), "kind": kind}
            rows.append({**row, "amount": f"{amount:.2f}", "balance": f"{balance:.2f}"})
    rng.shuffle(rows)
    return write(path, rows)


def write_shop(folder: Path, customers: int = 80, seed: int = 1) -> tuple[Path, Path]:
    """Customers with orders that name them, as customers.csv and orders.csv: nobody of Bonn orders anything, and those
    of Rome order most. Both tables have a column `kind`."""
    rng, above, below = random.Random(seed), [], []
    for number in range(customers):
        city = rng.choice(list(CITIES))
        above.append({"id": f"c{number}", "city": city, "kind": rng.choice(["firm", "person"])})
        day = datetime(2024, 1, 1) + timedelta(days=rng.randrange(60))
        for _ in range({"Bonn": 0, "Oslo": rng.randrange(0, 3), "Rome": rng.randrange(3, 9)}[city]):
            day += timedelta(days=rng.choice([0, 1, 7]))
            kind = "gift" if city == "Oslo" else rng.choice(["food", "book"])
            below.append({"customer_id": f"c{number}", "day": day.strftime("%Y-%m-%d"), "kind": kind})
            below[-1]["price"] = str(rng.randrange(5, 40))
    rng.shuffle(below)
    folder.mkdir(parents=True, exist_ok=True)
    return write(folder / "customers.csv", above), write(folder / "orders.csv", below)


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
