"""SentencePiece's precompiled character maps, made by hand."""

import base64
import struct


def double_array(keys):
    """A trie over strings of bytes in Darts-clone's units; `keys` maps each to its value."""
    units = {0: None}
    used = {0}

    def place(node, depth, entries):
        groups = {}
        for key, value in entries:
            groups.setdefault(key[depth] if depth < len(key) else 0, []).append((key, value))
        # The offset must be a multiple of 256 above 2^21, or below that anything.
        offset = next(
            o for o in range(1, 1 << 20) if all((node ^ o ^ label) not in used for label in groups) and node ^ o
        )
        base = node ^ offset
        for label in groups:
            used.add(base ^ label)
        label, has_leaf = (units[node] or 0) & 0xFF, 0 in groups
        units[node] = offset << 10 | has_leaf << 8 | label
        for label, group in groups.items():
            if label == 0:
                units[base] = 1 << 31 | group[0][1]
            else:
                units[base ^ label] = label
                place(base ^ label, depth + 1, group)

    place(0, 0, sorted(keys.items()))
    return [units.get(i) or 0 for i in range(max(units) + 256)]


def charsmap(rules):
    """precompiled_charsmap for a dictionary of strings."""
    blob, keys = b"", {}
    for source, target in rules.items():
        keys[source.encode()] = len(blob)
        blob += target.encode() + b"\0"
    units = double_array(keys)
    data = struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + blob
    return base64.b64encode(data).decode()
