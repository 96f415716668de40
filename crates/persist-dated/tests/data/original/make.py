"""Makes `folders.tar.gz`: folders written by the Python original, and what the original itself reads back of them.

    pip install duckdb==1.5.5 pandas pyarrow ionbus-fast-persist==1.0.3.2
    TZ=UTC python make.py

Each folder holds `2025-01-15/` as the original left it. `{folder}.json` lists `[key, process_name, data]` as the
original has it in memory after opening a copy, with NaN and infinities as null.
"""

import datetime as dt
import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

from ionbus_fast_persist.dated_fast_persist import WALConfig, WALDuckDBStorage

DATE = "2025-01-15"


def start(base, **options):
    return WALDuckDBStorage(DATE, "data.duckdb", WALConfig(base_dir=base, duckdb_flush_interval_seconds=3600, **options))


def fill(storage, first, count):
    for n in range(first, first + count):
        storage.store(
            f"key{n % 7}",
            {"n": n, "status": "running" if n % 2 else "late", "status_int": n, "price": 12.5, "big": 2**70},
            process_name=None if n % 3 == 0 else f"worker{n % 3}",
            timestamp=dt.datetime(2025, 1, 15, 10, 0, n, 500000 if n % 2 else 0),
            username="bob" if n % 4 == 0 else None,
        )


def closed(base):
    storage = start(base)
    fill(storage, 0, 20)
    storage.store("Käse 🧀", {"naïve": "日本", "quote": 'a "b" \\ \n', "due": dt.date(2025, 2, 1)}, process_name="ü")
    storage.store("nan", {"a": math.nan, "b": [math.inf, -math.inf, {"c": math.nan}], "text": "NaN"})
    storage.conn.execute("SELECT 1")
    storage.flush_thread.join = lambda timeout: None
    storage.close()


def killed(base):
    storage = start(base, batch_size=9)
    fill(storage, 0, 8)
    storage.flush_data_to_duckdb()
    storage._flush_to_duckdb = lambda: None
    fill(storage, 5, 20)
    storage.store("nan", {"a": math.nan, "b": [math.inf, -math.inf, {"c": math.nan}], "text": "NaN"})
    storage.store("dates", {
        "date": dt.date(2025, 2, 1),
        "naive": dt.datetime(2025, 2, 1, 12, 30),
        "aware": dt.datetime(2025, 2, 1, 12, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5))),
        "text": "2025-03-04T05:06:07Z",
        "space": "2025-03-04 05:06:07.25",
        "day": "2025-03-04",
        "within": [{"deep": ["2025-03-04", 7, None, True, {}, []]}],
    }, process_name="p", timestamp="2025-01-15T10:30:00-05:00")
    storage.store("Käse 🧀", {"naïve": "日本", "quote": 'a "b" \\ \n'}, username="Zoë", process_name="ü")
    storage.store("by field", {"process_name": "f", "username": "ann", "timestamp": "2025-01-15T11:00:00", "status": None})
    storage.store("", {})
    os._exit(9)


def doubled(base):
    storage = start(base)
    for n in range(4):
        storage.store("k", {"n": n}, timestamp=dt.datetime(2025, 1, 15, 10, n))
        storage.store("k", {"n": n * 10}, process_name="p", timestamp=dt.datetime(2025, 1, 15, 10, n))
        storage.flush_data_to_duckdb()
    storage.flush_thread.join = lambda timeout: None
    storage.close()


def extra(base):
    columns = {"n": "int64", "price": "float64", "flag": "bool", "due": "date32", "notes": "string"}
    storage = start(base, extra_schema=columns)
    for n in range(6):
        storage.store(f"k{n}", {"n": n, "price": n + 0.25, "flag": n % 2 == 0, "notes": f"note {n}"}, process_name="p")
    storage.store("missing", {"n": 7}, process_name="p")
    storage.flush_data_to_duckdb()
    storage._flush_to_duckdb = lambda: None
    storage.store("k0", {"n": 100, "price": 1.5, "flag": False, "notes": "later"}, process_name="p")
    storage.store("unfit", {"n": "many", "price": 2}, process_name="p")
    os._exit(9)


def plain(value):
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, dt.datetime) else value


def expected(folder, scratch):
    shutil.copytree(folder, scratch)
    storage = start(scratch)
    return [[key, process, plain(data)] for key, parts in storage.cache.items() for process, data in parts.items()]


if __name__ == "__main__":
    folders = {"closed": closed, "killed": killed, "doubled": doubled, "extra": extra}
    if len(sys.argv) > 1:
        folders[sys.argv[1]](sys.argv[2])
        os._exit(0)
    with tempfile.TemporaryDirectory() as work, tarfile.open("folders.tar.gz", "w:gz") as archive:
        for name in folders:
            folder = os.path.join(work, name)
            subprocess.run([sys.executable, __file__, name, folder])
            answer = os.path.join(work, f"{name}.json")
            with open(answer, "w", encoding="utf-8") as file:
                json.dump(expected(folder, os.path.join(work, f"{name}.scratch")), file, indent=1)
            archive.add(folder, name)
            archive.add(answer, f"{name}.json")
        archive.close()
        os._exit(0)
