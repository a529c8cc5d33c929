#!/usr/bin/env python3
"""The comparison of tests/python/test_tokenizer_models.py with many more random strings, 10⁶ unless told.

python scripts/parity/tokenizer_strings.py [--strings N]
"""

import argparse
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--strings", type=int, default=1_000_000, help="random strings, in all")
    options = arguments.parse_args()
    environment = os.environ | {"TERCEL_TOKENIZER_STRINGS": str(options.strings)}
    test = ROOT / "tests/python/test_tokenizer_models.py"
    raise SystemExit(subprocess.run([sys.executable, "-m", "pytest", "-q", str(test)], env=environment).returncode)


if __name__ == "__main__":
    main()
