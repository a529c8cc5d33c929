"""Runs a check over C++ files in parallel, and remembers in build/ which contents passed it.

A file's contents are its own and those of every project header it reaches, so that a change to a
header checks again what includes it, and nothing else.
"""

import concurrent.futures
import functools
import hashlib
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


@functools.cache
def reach(path):
    """The digest of one file, and the project headers that it includes."""
    data = (ROOT / path).read_bytes()
    found = (name.decode() for name in re.findall(INCLUDE.pattern.encode(), data, re.M))
    headers = (pathlib.PurePath("include" if n.startswith("tercel/") else "", n) for n in found)
    digest = hashlib.sha256(data).hexdigest()
    return digest, frozenset(h for h in headers if (ROOT / h).is_file())


def key_of(path, salt):
    seen, queue = {}, [pathlib.PurePath(path)]
    while queue:
        file = queue.pop()
        if file not in seen:
            seen[file], headers = reach(file)
            queue += headers
    lines = [salt, str(path)] + [f"{file} {digest}" for file, digest in sorted(seen.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def run(name, files, check, jobs, salt=""):
    """Calls check(file) -> (passed, output) for the files that changed; returns an exit code."""
    memory = ROOT / "build" / "passed" / name.replace(" ", "-")
    memory.mkdir(parents=True, exist_ok=True)
    keys = {file: key_of(file, salt) for file in files}
    changed = [file for file in files if not (memory / keys[file]).exists()]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for file, (passed, output) in zip(changed, pool.map(check, changed)):
            if passed:
                (memory / keys[file]).touch()
            else:
                failed += 1
                print(f"{file}: fails ({name})\n{output.strip()}", flush=True)
    same = len(files) - len(changed)
    print(f"{name}: {len(files)} files, {same} unchanged since they passed, {failed} failed")
    return 1 if failed else 0
