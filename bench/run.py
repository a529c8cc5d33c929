"""Runs the measuring scripts, a process each, and prints their figures as one table, in Markdown.

python bench/run.py [PART…]      none: all; one part may be given options of its own
"""

import json
import os
import subprocess
import sys
import tempfile

from measure import ROOT

PARTS = {
    "application": "application.py",
    "gemm": "gemm.py",
    "tokenizer": "tokenizer.py",
    "callers": "callers.py",
    "cpu": "cpu",
    "predict": "predict",
}


def print_table(rows):
    rows = [["what", "measured", "bar", "met"], *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


def main():
    parts, options = sys.argv[1:] or list(PARTS), []
    if len(parts) > 1 and parts[0] in PARTS and parts[1].startswith("-"):
        parts, options = parts[:1], parts[1:]
    if unknown := [part for part in parts if part not in PARTS]:
        raise SystemExit(f"bench: no part is called {unknown[0]}; there are {', '.join(PARTS)}")
    failed = []
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
        environment = os.environ | {"TERCEL_BENCH_ROWS": file.name}
        for part in parts:
            print(f"== {part}", flush=True)
            command = [sys.executable, str(ROOT / "bench" / PARTS[part]), *options]
            if subprocess.run(command, env=environment).returncode != 0:
                failed.append(part)
        if rows := [json.loads(line) for line in file]:
            print()
            print_table(rows)
    if failed:
        raise SystemExit(f"bench: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
