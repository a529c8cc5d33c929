"""The measured rows as Markdown tables and as a plot, and their places in the documents."""

import html
import math

from measure import ROOT
from rows import ROWS, TITLES

PAGE = ROOT / "docs/performance.md"
PLOT = ROOT / "docs/cpu.svg"
BEGIN, END = "<!-- scripts/bench cpu -->", "<!-- end of scripts/bench cpu -->"

ENGINES = {
    "tercel": "Tercel",
    "tercel-python": "Tercel (Python)",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "ctranslate2": "CTranslate2",
    "torch": "PyTorch",
    "onednn": "oneDNN",
    "blis": "BLIS",
    "openblas": "OpenBLAS",
}
SENTENCES = 2000


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head, lines):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *lines])


def cell(result, engine, show=lambda measured: number(measured["ms"])):
    """An engine's figure; - where it was not asked or refused."""
    measured = result["engines"].get(engine, {})
    return show(measured) if "ms" in measured else "-"


def ratio_cells(result):
    if "ratio" not in result:
        return ["-", "-"]
    bar = result["bar"]
    met = "" if bar is None else " ✓" if result["ratio"] <= bar else ""
    return [f"{result['ratio']:.2f}{met}", "-" if bar is None else f"≤ {bar:.2f}"]


def share(result):
    return f"{result['share']:.0%}" if "share" in result else "-"


def arrays_table(rows):
    names = ["tercel", "onnxruntime", "openvino", "ctranslate2", "torch"]
    head = ["ms", "floor", *[ENGINES[name] for name in names], "ours / best", "bar", "of the limit", "cosine to f32"]
    lines = []
    for row, result in rows:
        exact = result["engines"].get("tercel", {}).get("cosine")
        floor = number(result["floor"]) if "floor" in result else "-"
        cells = [cell(result, name) for name in names]
        cosine = "-" if exact is None or row.dtype == "f32" else f"{exact:.5f}"
        lines.append([row.title, floor, *cells, *ratio_cells(result), share(result), cosine])
    return table(head, lines)


def texts_table(rows):
    names = ["tercel", "onnxruntime", "openvino", "ctranslate2", "torch"]

    def show(measured):
        return number(SENTENCES / measured["ms"] * 1e3)

    lines = [[row.title, *[cell(result, name, show) for name in names], *ratio_cells(result)] for row, result in rows]
    return table(["sentences a second", *[ENGINES[name] for name in names], "our time / best", "bar"], lines)


def start_table(rows):
    lines = []
    for _, result in rows:
        for name, measured in result["engines"].items():
            if "ms" in measured:
                lines.append([ENGINES[name], f"{measured['ms']:.0f} ms", f"{measured['peak'] / 1e6:.0f} MB"])
    return table(["process start to first embedding", "time", "peak memory"], lines)


def threads_table(rows, threads):
    lines = []
    for row, result in rows:
        one, all_of_them = cell(result, "tercel@1"), cell(result, "tercel")
        gain = f"{result['gain']:.2f}" if "gain" in result else "-"
        lines.append([row.title.removesuffix(", one thread"), one, all_of_them, gain, f"≥ {row.bar}"])
    return table(["ms", "one thread", f"{threads} threads", "gain", "bar"], lines)


def products_table(rows):
    names = ["tercel", "onnxruntime", "openvino", "torch", "onednn", "blis", "openblas"]
    lines = []
    for row, result in rows:
        operations = 2e-6 * math.prod(row.shape)

        def speed(measured, operations=operations):
            return number(operations / measured["ms"])

        shape, ratio = " × ".join(map(str, row.shape)), ratio_cells(result)[0]
        lines.append([shape, *[cell(result, name, speed) for name in names], ratio, share(result)])
    head = ["GFLOP/s, M × K × N", *[ENGINES[name] for name in names], "our time / best", "of the limit"]
    return table(head, lines)


def refusals(rows):
    lines = []
    for row, result in rows:
        for engine, measured in result["engines"].items():
            if "refused" in measured:
                why = measured["refused"][:160]
                lines.append(f"- {row.title}: {ENGINES.get(engine, engine)} refuses: {why}")
    return "\n".join(lines)


def markdown(measured):
    """All tables; `measured` is what `scripts/bench cpu --json` writes."""
    rows = [(row, measured["rows"][row.name]) for row in ROWS if row.name in measured["rows"]]

    def of(kind, product=False):
        return [entry for entry in rows if entry[0].kind == kind and (entry[0].model == "product") == product]

    limits = measured["limits"]
    parts = [
        f"{measured['threads']} threads; the limits, measured beside: f32 {limits['flops'] / 1e9:.0f} GFLOP/s, "
        f"bf16 {limits['bf16'] / 1e9:.0f}, int8 {limits['int8'] / 1e9:.0f}, "
        f"reading memory {limits['read_bytes'] / 1e9:.0f} GB/s."
    ]
    if found := of("arrays"):
        parts.append(arrays_table(found))
    if found := of("texts"):
        parts.append(texts_table(found))
    if found := of("start"):
        parts.append(start_table(found))
    if found := of("threads"):
        parts.append(threads_table(found, measured["threads"]))
    if found := of("arrays", product=True):
        parts.append(products_table(found))
    if found := refusals(rows):
        parts.append(found)
    return "\n\n".join(parts)


LINE, LEFT, WIDTH, TOP = 24, 260, 420, 56
COLOURS = {"onnxruntime": "#888888", "openvino": "#3b7dd8", "ctranslate2": "#2a9d5c", "torch": "#c2571a"}


def plot(measured):
    """How fast each engine is, the best peer being 1: a line a row, a mark an engine."""
    rows = [
        (row, measured["rows"][row.name]) for row in ROWS if row.model in TITLES and row.kind in ("arrays", "texts")
    ]
    rows = [(row, result) for row, result in rows if row.name in measured["rows"] and "ratio" in result]
    speeds = {
        row.name: {name: result["best_ms"] / one["ms"] for name, one in result["engines"].items() if "ms" in one}
        for row, result in rows
    }
    most = max((speed for of_row in speeds.values() for speed in of_row.values()), default=1) * 1.05

    def at(speed):
        return LEFT + speed / most * WIDTH

    height = TOP + LINE * len(rows) + 16
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="16" font-weight="bold">'
        "Speed, the best of the other runtimes = 1 (right is faster)</text>",
    ]
    for index, (name, colour) in enumerate({"tercel": "#d11a2a", **COLOURS}.items()):
        x = 20 + index * (LEFT + WIDTH) // 5
        out.append(
            f'<circle cx="{x + 4}" cy="34" r="4" fill="{colour}"/><text x="{x + 12}" y="38">{ENGINES[name]}</text>'
        )
    for tick in range(int(most * 2) + 1):
        x = at(tick / 2)
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 12}" stroke="#dddddd"/>')
        out.append(f'<text x="{x:.1f}" y="{height - 1}" text-anchor="middle" fill="#666666">{tick / 2:g}</text>')
    for index, (row, _) in enumerate(rows):
        y = TOP + LINE * index + LINE / 2
        out.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{html.escape(row.title)}</text>')
        for name in [*COLOURS, "tercel"]:  # ours on top
            if name in speeds[row.name]:
                colour, radius = COLOURS.get(name, "#d11a2a"), 6 if name == "tercel" else 4
                out.append(f'<circle cx="{at(speeds[row.name][name]):.1f}" cy="{y}" r="{radius}" fill="{colour}"/>')
    return "\n".join([*out, "</svg>", ""])


def write_documents(measured):
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"bench: {PAGE} has no place for the tables: {BEGIN} … {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{markdown(measured)}\n{END}{after}", encoding="utf-8")
    PLOT.write_text(plot(measured), encoding="utf-8")
