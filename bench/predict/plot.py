"""docs/predict.svg: how many tokens a second `tercel predict` embeds, by tokens of a batch and mix of lengths."""

import os
import random

import assets
from measure import ROOT

PLOT = ROOT / "docs/predict.svg"
BATCHES = (64, 128, 256, 512, 1024, 2048, 4096)
TEXTS = 600
LEFT, TOP, WIDTH, HEIGHT = 70, 60, 520, 260
COLOURS = {"4 to 200 tokens": "#d11a2a", "at most 16 words": "#1f77b4", "100 to 150 words": "#2ca02c"}


def mixes(natural_texts):
    natural = natural_texts(2000)
    words = " ".join(natural).split()
    chance = random.Random(4)

    def cut(least, most):
        texts = []
        for _ in range(TEXTS):
            begin = chance.randrange(len(words) - most)
            texts.append(" ".join(words[begin : begin + chance.randint(least, most)]))
        return texts

    return dict(zip(COLOURS, [natural[:TEXTS], cut(2, 16), cut(100, 150)[: TEXTS // 4]]))


def drawn(speeds):
    most = max(max(of_mix.values()) for of_mix in speeds.values()) * 1.1
    step = WIDTH / (len(BATCHES) - 1)

    def place(batch, speed):
        return LEFT + BATCHES.index(batch) * step, TOP + HEIGHT * (1 - speed / most)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}" height="{TOP + HEIGHT + 50}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="16" font-weight="bold">'
        f"Thousand tokens a second, MiniLM-L6 in f32, {len(os.sched_getaffinity(0))} CPUs</text>",
    ]
    for tick in range(5):
        x, y = place(BATCHES[0], most * tick / 4)
        out.append(f'<line x1="{x}" y1="{y:.1f}" x2="{x + WIDTH}" y2="{y:.1f}" stroke="#dddddd"/>')
        label = f"{most * tick / 4000:.1f}"
        out.append(f'<text x="{x - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#666666">{label}</text>')
    for batch in BATCHES:
        x, y = place(batch, 0)
        out.append(f'<text x="{x:.1f}" y="{y + 18}" text-anchor="middle" fill="#666666">{batch}</text>')
    out.append(f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 40}" text-anchor="middle">tokens of a batch</text>')
    for index, (name, of_mix) in enumerate(speeds.items()):
        points = " ".join("{:.1f},{:.1f}".format(*place(batch, speed)) for batch, speed in of_mix.items())
        out.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        x = LEFT + index * 170
        out.append(
            f'<circle cx="{x + 4}" cy="36" r="4" fill="{COLOURS[name]}"/><text x="{x + 12}" y="40">{name}</text>'
        )
    return "\n".join([*out, "</svg>", ""])


def make(predict, natural_texts, write_texts, folder):
    speeds = {}
    for name, texts in mixes(natural_texts).items():
        source = os.path.join(folder, "mix.jsonl")
        write_texts(source, texts)
        for batch in BATCHES:
            summary = predict(assets.checkpoint("minilm"), source, "--max-tokens", batch)
            speeds.setdefault(name, {})[batch] = summary["tokens_per_second"]
            print(f"{name}, {batch} tokens a batch: {summary['tokens_per_second']:.0f} tokens/s", flush=True)
    PLOT.write_text(drawn(speeds), encoding="utf-8")
    print(f"written: {PLOT.relative_to(ROOT)}")
