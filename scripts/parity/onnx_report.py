#!/usr/bin/env python3
"""Prints which operators some ONNX files use, by file and in all, with their opsets."""

from __future__ import annotations

import argparse
import collections
from pathlib import Path

import onnx


def subgraphs(nodes):
    """Every node, those of subgraphs included."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in [attribute.g, *attribute.graphs]:
                yield from subgraphs(graph.node)


def histogram(model: onnx.ModelProto) -> tuple[collections.Counter, dict[str, int]]:
    """Counts by (domain, operator), and the opset of each domain."""
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    nodes = list(subgraphs(model.graph.node))
    for function in model.functions:
        nodes.extend(subgraphs(function.node))
    return collections.Counter((node.domain or "ai.onnx", node.op_type) for node in nodes), opsets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="ONNX files")
    args = parser.parse_args()
    union: dict[tuple[str, str], set[int]] = collections.defaultdict(set)
    for path in args.files:
        counts, opsets = histogram(onnx.load(path, load_external_data=False))
        print(f"{path.name} ({path.stat().st_size} bytes), opsets {opsets}")
        for (domain, operator), count in sorted(counts.items()):
            print(f"  {domain} {operator} {count}")
            union[domain, operator].add(opsets.get(domain, 0))
    print(f"all {len(args.files)} files")
    for (domain, operator), versions in sorted(union.items()):
        print(f"  {domain} {operator} at opsets {', '.join(map(str, sorted(versions)))}")


if __name__ == "__main__":
    main()
