#!/usr/bin/env python3
"""Holds the tree against the table of layers below, which is that of docs/ARCHITECTURE.md.

  check_layers.py            every #include, every `tercel_layer(… DEPENDS …)`, the conventions
  check_layers.py --headers  also compiles alone each header that no source includes first of all, where
                             the build does it (those changed since they last passed)

Findings are printed as file:line: sentence, with exit code 1.
"""

import argparse
import fnmatch
import pathlib
import platform
import re
import subprocess
import sys

import passed_before

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A part of the tree -> the parts it may include besides itself; what those may include, it may too.
LAYERS = {
    "base": [],
    "device isa": ["base"],
    "device": ["device isa"],
    "kernels": ["device isa"],
    "tensor": ["device"],
    "ir": ["tensor"],
    "ops interface": ["ir"],
    "ops": ["ops interface"],
    "ops cpu": ["ops", "kernels"],
    "ops strings cpu": ["ops cpu", "text"],
    "device cuda": ["device"],
    "ops cuda": ["ops cpu", "device cuda"],
    "passes": ["ir", "ops interface"],
    "runtime": ["ops cpu"],
    "text": ["base"],
    "data": ["tensor", "text"],
    "hub": ["ir", "ops interface", "text"],
    "compress": ["passes", "runtime", "data"],
    "generate": ["runtime", "text"],
    "session": ["passes", "runtime", "text", "data", "hub", "compress", "generate"],
    "tasks": ["session", "data"],
}

# Folders of several parts: the first pattern that a file's name matches says its part.
PARTS = {
    "ops": [
        ("ops interface", ["op_def.h", "infer.h", "definitions.h"]),
        ("ops strings cpu", ["strings/*_cpu.cc", "strings/*_cpu.h"]),
        ("ops cuda", ["*_cuda.cc", "*_cuda.h", "cuda_*"]),
        ("ops cpu", ["*_cpu.cc", "*_cpu.h", "cpu*"]),
        ("ops", ["*"]),
    ],
    "device": [
        ("device isa", ["cpu_isa.*"]),
        ("device cuda", ["cuda/*"]),
        ("device", ["*"]),
    ],
}

# The public headers that say the vocabulary of a lower layer; the rest belong to `session`.
PUBLIC_HEADERS = {
    "export.h": "base",
    "version.h": "base",
    "dtype.h": "base",
    "error.h": "base",
    "tensor.h": "tensor",
    "tokenizer.h": "text",
    "dataset.h": "data",
    "reader.h": "data",
    "data_loader.h": "data",
    "text_data.h": "data",
    "npy.h": "data",
    "named_tensors.h": "tensor",
    "tasks.h": "tasks",
    "predict.h": "tasks",
    "tercel.h": "tasks",
}

FRONT_ENDS = ["cli", "python", "server"]  # may include include/tercel and their own folder only
FREE = ["tests", "bench", "fuzz", "examples"]  # may include anything

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LAYER_CALL = re.compile(r"tercel_layer\((\w+)([^)]*)\)", re.S)
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(work|root)/\w")


def closure(layer):
    seen, queue = set(), [layer]
    while queue:
        part = queue.pop()
        if part not in seen:
            seen.add(part)
            queue += LAYERS[part]
    return seen


MAY_INCLUDE = {layer: closure(layer) for layer in LAYERS}


def part_of(path):
    """The row of LAYERS that a file under src/ belongs to, or None when its folder has no row."""
    folder, name, below = path.parts[1], path.name, "/".join(path.parts[2:])
    if folder not in PARTS:
        return folder if folder in LAYERS else None
    for part, globs in PARTS[folder]:
        if any(fnmatch.fnmatch(below if "/" in glob else name, glob) for glob in globs):
            return part
    return None


def is_free(path):
    return path.parts[0] in FREE or path.stem.endswith(("_test", "_test_util", "_bench"))


def check_include(path, bracket, target):
    """What is wrong with `#include "target"` in `path`, or None."""
    first = target.split("/")[0]
    if bracket == "<":
        if not is_free(path) and first in ("src", "tercel"):
            return f'write "{target}": the project\'s own headers are included with quotes'
        if path.parts[0] == "include" and not re.fullmatch(r"[a-z_0-9]+", target):
            return f"<{target}>: a public header includes the standard library only"
        return None
    file = ROOT / ("include" if first == "tercel" else "") / target
    if first not in ("src", "tercel", *FRONT_ENDS, *FREE) or not file.is_file():
        return f'"{target}" is not a file seen from the repository\'s root or from include/'
    if is_free(path):
        return None
    if path.parts[0] in ("include", *FRONT_ENDS):
        own = first == path.parts[0] and first != "include"
        return None if first == "tercel" or own else f'"{target}": only include/tercel is open here'
    part = part_of(path)
    if part is None:
        return None
    if first == "tercel":
        needed = PUBLIC_HEADERS.get(target.split("/", 1)[1], "session")
    elif first == "src":
        needed = part_of(pathlib.PurePath(target))
    else:
        return f'"{target}": src/ does not include {first}/'
    if needed is None or needed not in MAY_INCLUDE[part]:
        allowed = ", ".join(sorted(MAY_INCLUDE[part] - {part})) or "nothing but itself"
        return f'"{target}" is of {needed}; {part} may include {allowed}'
    return None


def check_source(path, text):
    if path.parts[0] == "src" and part_of(path) is None:
        yield 1, f"src/{path.parts[1]} has no row in the table of {pathlib.Path(__file__).name}"
    lines = text.splitlines()
    if path.suffix in (".h", ".cuh") and (not lines or lines[0] != "#pragma once"):
        yield 1, "a header begins with #pragma once"
    for number, line in enumerate(lines, 1):
        found = INCLUDE.match(line)
        if found and (wrong := check_include(path, *found.groups())):
            yield number, wrong


def check_cmake(path, text):
    """The layers that a folder links must be those that it may include."""
    for call in LAYER_CALL.finditer(text):
        number = text.count("\n", 0, call.start()) + 1
        folder = path.parts[1]
        mine = {part for part in LAYERS if part.split()[0] == folder}
        allowed = {name.split()[0] for part in mine for name in MAY_INCLUDE[part]}
        words = re.sub(r"#.*", "", call.group(2)).split()
        if "DEPENDS" not in words:
            continue
        for word in words[words.index("DEPENDS") + 1 :]:
            if word.isupper():
                break
            if word.split("_")[0] not in allowed:
                yield number, f"{call.group(1)} links {word}, which src/{folder} may not include"


def check_tree(files):
    for path in files:
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        if path.suffix in (".h", ".cc", ".cu", ".cuh"):
            yield from ((path, *finding) for finding in check_source(path, text))
        if path.name == "CMakeLists.txt" and path.parts[0] == "src" and len(path.parts) > 2:
            yield from ((path, *finding) for finding in check_cmake(path, text))
        if path.suffix not in (".json", ".txt.gz"):
            for number, line in enumerate(text.splitlines(), 1):
                if MACHINE_PATH.search(line):
                    yield path, number, "a path of one machine"


# Of cmake/TercelIsa.cmake: what headers of kernels are compiled for.
ISA = ["-DTERCEL_ISA=avx512_bf16", "-DTERCEL_ISA_avx512=1", "-DTERCEL_ISA_avx512_bf16=1"]
ISA += ["-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
ISA += ["-mavx512vnni", "-mavx512bf16"]


CUDA_HEADERS = pathlib.Path("/usr/local/cuda/include")


def needs_cuda(header):
    return "cuda" in header.parts[:-1] or header.name == "cuda_util.h"


def compile_alone(header):
    command = ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
    if header.is_relative_to("src/kernels/cpu") and platform.machine() == "x86_64":
        command += ISA
    if needs_cuda(header):
        command += ["-isystem", str(CUDA_HEADERS)]
    # As cmake/TercelLayer.cmake compiles every test.
    if header.is_relative_to("tests"):
        command += ['-DTERCEL_SOURCE_DIR="."']
    command += ["-Iinclude", "-I.", "-x", "c++", "-"]
    source = f'#include "{name_in_includes(header)}"\n'
    done = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr


def included_first(files):
    """The headers that some source includes before anything else: compiling it compiles them alone."""
    for path in files:
        if path.suffix == ".cc":
            lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
            found = next(filter(None, map(INCLUDE.match, lines)), None)
            if found and found.group(1) == '"':
                yield found.group(2)


def name_in_includes(header):
    return str(header.relative_to("include") if header.parts[0] == "include" else header)


def tracked_files():
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted(pathlib.PurePath(name) for name in listing.stdout.split("\0") if name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--headers", action="store_true", help="compile each header alone too")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()

    files = tracked_files()
    findings = list(check_tree(files))
    for path, number, sentence in findings:
        print(f"{path}:{number}: {sentence}")
    if findings:
        print(f"layers: {len(findings)} findings")
        return 1
    sources = sum(path.suffix in (".h", ".cc", ".cu", ".cuh") for path in files)
    print(f"layers: {sources} files include only what they may")
    if arguments.headers:
        built = set(included_first(files))
        headers = [path for path in files if path.suffix == ".h" and path.parts[0] != "examples"]
        headers = [path for path in headers if name_in_includes(path) not in built]
        if not CUDA_HEADERS.is_dir():
            print(f"headers alone: without {CUDA_HEADERS}, those of CUDA are left out")
            headers = [path for path in headers if not needs_cuda(path)]
        return passed_before.run("headers alone", headers, compile_alone, arguments.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
