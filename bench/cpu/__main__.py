"""Encoders, ResNet-50, embeddings of texts and products: Tercel beside ONNX Runtime, OpenVINO, CTranslate2 and PyTorch.

Each engine is a process; they take turns, and one alone runs at a time. Medians, the ratio of our time to the best
peer's, and the share of the machine's limit, measured in the same run.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import assets
import report
import starts
from measure import BUILD, TERCEL, closing, median, output_of
from rows import chosen
from turns import Engine, take_turns

BYTES = {"f32": 4, "bf16": 2, "int8": 1}


def cache_bytes():
    """The last-level cache: weights that fit are not read from memory again."""
    path = pathlib.Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
    return int(path.read_text().strip().removesuffix("K")) * 1024 if path.exists() else 0


def flops_of(row):
    if row.model == "product":
        m, k, n = row.shape
        return 2 * m * k * n
    dims = [f"--dim={name}={size}" for name, size in zip(("batch", "sequence"), row.shape)]
    return output_of(TERCEL, "show", assets.onnx_file(row.model), *dims, "--json")["flops"]


def hold_against(limits, row, result):
    """Adds the milliseconds below which the row cannot be: operations over the peak, weights over the bandwidth."""
    ours = result["engines"].get("tercel", {}).get("ms")
    if not ours or "operations" not in result:
        return
    peak = {"f32": limits["flops"], "bf16": limits["bf16"], "int8": limits["int8"]}[row.dtype] or limits["flops"]
    floor = result["operations"] / peak
    weights = (row.weights or 0) * BYTES[row.dtype]
    if weights > cache_bytes():
        floor = max(floor, weights / limits["read_bytes"])
    result.update(floor=floor * 1e3, share=floor * 1e3 / ours)


def summed_up(row, engines):
    """A row's result: medians, and ours beside the best peer's."""
    result = {"engines": {}, "bar": row.bar}
    for name, own in engines.items():
        times = own.pop("times", [])
        if times:
            tenth = sorted(times)[len(times) // 10], sorted(times)[len(times) * 9 // 10]
            own = {**own, "ms": median(times), "p10": tenth[0], "p90": tenth[1], "runs": len(times)}
        result["engines"][name] = own
    measured = {name: own["ms"] for name, own in result["engines"].items() if "ms" in own}
    ours = measured.pop("tercel", None)
    alone = measured.pop("tercel@1", None)
    measured.pop("tercel-python", None)
    if ours and alone:
        result["gain"] = alone / ours
    if ours and measured:
        best = min(measured, key=measured.get)
        result.update(best=best, best_ms=measured[best], ratio=ours / measured[best])
    if ours and row.kind == "arrays":
        result["operations"] = flops_of(row)
    return result


def tell(row, result):
    """The row's line while the table is being measured, and in the table that ends `make bench`."""
    times = [
        f"{name} {own['ms']:.2f}" if "ms" in own else f"{name} refuses ({own['refused']})"
        for name, own in result["engines"].items()
    ]
    if "gain" in result:
        told, bar, met = f"{result['gain']:.2f} ×", f"≥ {row.bar} ×", result["gain"] >= row.bar
    elif "ratio" in result:
        told, bar = f"{result['ratio']:.2f} of {result['best']}", "-" if row.bar is None else f"≤ {row.bar:.2f}"
        met = None if row.bar is None else result["ratio"] <= row.bar
    else:
        told, bar, met = "-", "-", None
    print(f"{row.name}: {told} ({bar}); ms: {', '.join(times)}", flush=True)
    if row.model != "product":
        closing(row.title, told, bar, met)


def prepare(rows):
    """Makes what the rows need, in a process that ends before anything is measured."""
    if lacking := assets.missing(rows):
        names = [row.name for row in lacking]
        command = [sys.executable, str(pathlib.Path(assets.__file__)), *names]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{done.stderr[-2000:]}\nbench: a model could not be made")


def measure(rows, options):
    """Yields (row, result)."""
    running = {}
    try:
        for index, row in enumerate(rows):
            if sys.stderr.isatty():
                print(f"\r{index + 1}/{len(rows)} {row.name}\033[K\r", end="", file=sys.stderr, flush=True)
            names = [name for name in row.engines if not options.engines or name.partition("@")[0] in options.engines]
            if row.kind == "start":
                engines = starts.measure(row, names, options.threads, options.rounds)
            else:
                for name in names:
                    if name not in running:
                        running[name] = Engine(name, options.threads)
                engines = take_turns({name: running[name] for name in names}, row, options.rounds)
            yield row, summed_up(row, engines)
    finally:
        for engine in running.values():
            engine.close()


def listed(text):
    return text.split(",")


def parse():
    arguments = argparse.ArgumentParser(prog="scripts/bench cpu", description=__doc__)
    arguments.add_argument("--rows", type=listed, default=[], metavar="PATTERN,…", help="rows by name: 'f32/*'")
    arguments.add_argument("--engines", type=listed, default=[], metavar="NAME,…", help="only these; blank: all")
    arguments.add_argument("--rounds", type=int, default=5, help="turns of each engine")
    arguments.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments.add_argument("--json", type=pathlib.Path, metavar="FILE", help="add the rows to those of this file")
    arguments.add_argument("--prepare", action="store_true", help="make the models that the rows need, measure nothing")
    arguments.add_argument("--list", action="store_true", help="print the names of the rows")
    arguments.add_argument(
        "--write", action="store_true", help="put the file's rows into docs/; measures only with --rows"
    )
    return arguments.parse_args()


def main():
    options = parse()
    rows = chosen(options.rows)
    if options.list:
        return print("\n".join(row.name for row in rows))
    measured = {"threads": options.threads, "limits": {}, "rows": {}}
    if options.json and options.json.exists():
        measured = json.loads(options.json.read_text(encoding="utf-8"))
    if options.write and not options.rows:
        return report.write_documents(measured)
    prepare(rows)
    if options.prepare:
        return None
    found = output_of(BUILD / "peaks")
    limits = measured["limits"] = {name: max(value, measured["limits"].get(name, 0)) for name, value in found.items()}
    for row, result in measure(rows, options):
        measured["rows"][row.name] = result
        tell(row, result)
        for known in chosen([]):
            if known.name in measured["rows"]:
                hold_against(limits, known, measured["rows"][known.name])
        if options.json:
            options.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print("\n" + report.markdown(measured))
    return report.write_documents(measured) if options.write else None


if __name__ == "__main__":
    main()
