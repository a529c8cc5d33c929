#!/usr/bin/env python3
"""clang-tidy (checks in .clang-tidy, all of them errors) over the project's .cc files that changed
since they last passed. Needs a configured build: its compile_commands.json has the flags."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

import passed_before

ROOT = passed_before.ROOT


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", nargs="*", help="all of the build's when none is named")
    arguments = parser.parse_args()

    tidy = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")
    if tidy is None:
        sys.exit("tidy.py: clang-tidy is missing; run scripts/setup --with-lint")
    build = ROOT / arguments.build
    commands = json.loads((build / "compile_commands.json").read_text())
    known = {pathlib.Path(entry["directory"], entry["file"]).resolve() for entry in commands}
    ours = {file.relative_to(ROOT) for file in known if file.is_relative_to(ROOT)}
    ours = {f for f in ours if f.suffix == ".cc" and not f.parts[0].startswith(("build", "."))}
    # Tests are held to the compiler's warnings only: GoogleTest's macros take most of the time.
    ours = {f for f in ours if not f.stem.endswith("_test") and f.parts[0] != "tests"}
    if arguments.files:
        ours &= {pathlib.Path(file) for file in arguments.files}

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
    return passed_before.run("clang-tidy", sorted(ours), check, arguments.jobs, salt)


if __name__ == "__main__":
    sys.exit(main())
