#!/usr/bin/env python3
"""clang-tidy (checks in .clang-tidy, all of them errors) over the project's translation units that changed since
they last passed. Needs a configured build, whose compile_commands.json has the flags: the preset `lint` puts up to
sixteen files into a unit, and so parses and matches the standard library as much less often."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

import passed_before

ROOT = passed_before.ROOT


def sources_of(unit, build):
    """The files that a unit of the build is made of: those it includes where CMake wrote it."""
    if not unit.is_relative_to(build):
        return {unit}
    return {pathlib.Path(name) for name in re.findall(passed_before.INCLUDE.pattern, unit.read_text(), re.M)}


def is_ours(file):
    """Tests are held to the compiler's warnings only: GoogleTest's macros take most of the time."""
    if file.suffix != ".cc" or not file.is_relative_to(ROOT):
        return False
    parts = file.relative_to(ROOT).parts
    return not (parts[0].startswith(("build", ".")) or parts[0] == "tests" or file.stem.endswith("_test"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build-lint")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "files", nargs="*", help="the units with these, by their paths; all of the build's when none is named"
    )
    arguments = parser.parse_args()

    tidy = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")
    if tidy is None:
        sys.exit("tidy.py: clang-tidy is missing; run scripts/setup --with-lint")
    build = ROOT / arguments.build
    commands = json.loads((build / "compile_commands.json").read_text())
    units = {pathlib.Path(entry["directory"], entry["file"]).resolve() for entry in commands}
    wanted = {pathlib.Path(file).resolve() for file in arguments.files}
    files, ours = set(), []
    for unit in sorted(units):
        sources = {file for file in sources_of(unit, build) if is_ours(file)}
        if sources and (not wanted or sources & wanted):
            files |= sources
            ours.append(unit.relative_to(ROOT))

    # Anchored at the root: a checkout in a folder that is itself called src must not match the headers
    # of the packages in .venv.
    headers = f"^{re.escape(str(ROOT))}/(include/tercel|src|cli|python)/"

    def check(file):
        command = [tidy, "--quiet", "-p", str(build), "--extra-arg=-Wno-unknown-warning-option"]
        command += [f"--header-filter={headers}"]
        command += ["--extra-arg=-Wno-ignored-optimization-argument", str(file)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.returncode == 0, done.stdout

    salt = (ROOT / ".clang-tidy").read_text()
    print(f"clang-tidy: {len(files)} files in {len(ours)} units", flush=True)
    return passed_before.run("clang-tidy", ours, check, arguments.jobs, salt)


if __name__ == "__main__":
    sys.exit(main())
