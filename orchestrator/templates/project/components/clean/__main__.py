"""Drop rows with missing values, and all but the first of equal rows.

A component is any program that takes the flags its component.yaml declares. An artifact is given as a path to read or
to write, a parameter as text, a list as JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

Row = dict[str, str]


def clean(rows: Iterable[Row], ignore: Iterable[str] = ()) -> Iterator[Row]:
    """The rows that are whole and new."""
    ignored = set(ignore)
    seen = set()
    for row in rows:
        key = tuple(value for name, value in row.items() if name not in ignored)
        if all(key) and key not in seen:
            seen.add(key)
            yield row


def main() -> None:
    """Files in, files out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ignore", type=json.loads, default=[])
    parser.add_argument("--cleaned", type=Path, required=True)
    parser.add_argument("--dropped", type=Path, required=True)
    given = parser.parse_args()

    with given.data.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        names = reader.fieldnames or []
    kept = list(clean(rows, given.ignore))
    with given.cleaned.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(kept)
    given.dropped.write_text(str(len(rows) - len(kept)), encoding="utf-8")
    print(f"kept {len(kept)} of {len(rows)} rows")


if __name__ == "__main__":
    main()
