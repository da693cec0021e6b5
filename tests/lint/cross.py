#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compile the house for aarch64, as far as the compiler gets without that machine's libraries.

usage: cross.py ROOT. Exit 77 where aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu with
libc6-dev-arm64-cross) is not installed. Files for one machine only end in its extension (_avx2.c).
"""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys

COMPILER = "aarch64-linux-gnu-gcc"
FLAGS = ["-std=gnu17", "-O1", "-D_GNU_SOURCE", "-I.", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror",
         "-fsyntax-only",
         "-DSL_VERSION=\"cross\""]
# A library's header (one without a folder of ours) that only the machine itself has.
MISSING = re.compile(r"fatal error: (?!(?:core|codecs|io|nodes|ctl|bench)/)\S+: No such file")
AREAS = ("core", "codecs", "io", "nodes", "ctl", "bench")
X86_ONLY = re.compile(r"_(avx2|avx512|sse\d*|x86)\.c$")


def compiles(path):
    done = subprocess.run([COMPILER, *FLAGS, path], capture_output=True, text=True)
    return path, done.returncode, done.stderr


def main():
    os.chdir(sys.argv[1] if len(sys.argv) > 1 else ".")
    if shutil.which(COMPILER) is None:
        print(f"skipped: {COMPILER} is not installed")
        return 77
    paths = []
    for path in sorted(path for area in AREAS for path in glob.glob(f"{area}/**/*.c", recursive=True)):
        if not X86_ONLY.search(path):
            paths.append(path)
    failed = left_out = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, code, errors in pool.map(compiles, paths):
            if code != 0 and MISSING.search(errors):
                left_out += 1
            elif code != 0:
                failed += 1
                print(f"{path}:\n{errors}")
    print(f"{len(paths) - left_out} files compiled for aarch64, {failed} failed; "
          f"{left_out} left out, their libraries are not here")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
