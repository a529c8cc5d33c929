"""Runs the measuring scripts, a process each, and prints their figures as one table, in Markdown.

python bench/run.py [application|gemm|tokenizer|encoder]…      none: all
"""

import json
import os
import subprocess
import sys
import tempfile

from measure import ROOT

PARTS = ["application", "gemm", "tokenizer", "encoder"]


def print_table(rows):
    rows = [["what", "measured", "bar", "met"], *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


def main():
    parts = sys.argv[1:] or PARTS
    if unknown := [part for part in parts if part not in PARTS]:
        raise SystemExit(f"bench: no part is called {unknown[0]}; there are {', '.join(PARTS)}")
    failed = []
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
        environment = os.environ | {"TERCEL_BENCH_ROWS": file.name}
        for part in parts:
            print(f"== {part}", flush=True)
            script = ROOT / "bench" / f"{part}.py"
            if subprocess.run([sys.executable, str(script)], env=environment).returncode != 0:
                failed.append(part)
        print()
        print_table([json.loads(line) for line in file])
    if failed:
        raise SystemExit(f"bench: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
