#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of docs/HACKING.md that a program can check. Exit 1 if one is broken.

usage: lint.py ROOT [--cc CC] [--no-compile]

One line a fault: file:line: rule: what. The rules are the functions named rule_*.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import sources

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
LINE_COLUMNS_MAX = 105  # of comments; clang-format holds code to 100
FORMATTERS = ("clang-format-14",)

# Folders of floor 1 may use floor 0 and these; all others what stands above them in meson.build.
FLOOR_1 = {
    "codecs/flat": ["codecs/text"],
    "codecs/text": [],
    "core/ring": [],
    "core/spec": ["codecs/flat", "codecs/text"],
}
FLOOR_1_CODEC = ["codecs/flat", "codecs/text"]

# Libraries, and the one folder that may include their headers.
ONLY_INCLUDER = {
    "liburing.h": "io/uring",
    "mimalloc.h": "core/mem",
    "lmdb.h": "io/kv",
    "yaml.h": "codecs/yaml",
    "sodium.h": "io/seal",
    "sodium/": "io/seal",
    "JavaScriptCore/": "nodes/script/js",
    "lua.h": "nodes/script/lua",
    "lauxlib.h": "nodes/script/lua",
    "lualib.h": "nodes/script/lua",
    "luajit.h": "nodes/script/lua",
    "luajit-2.1/": "nodes/script/lua",
    "re2/": "nodes/script/cel",
    "openssl/": "io/tls",
    "zlib.h": "bench",
}

# What comes with libc, the compiler or the kernel.
SYSTEM_PREFIXES = ("sys/", "linux/", "net/", "netinet/", "arpa/", "asm/", "sanitizer/")
SYSTEM = set(
    """assert.h ctype.h cpuid.h dirent.h dlfcn.h elf.h emmintrin.h errno.h execinfo.h fcntl.h fenv.h float.h fnmatch.h
    getopt.h glob.h grp.h immintrin.h inttypes.h langinfo.h libgen.h limits.h link.h locale.h malloc.h math.h netdb.h
    nmmintrin.h poll.h pthread.h pwd.h regex.h sched.h semaphore.h setjmp.h signal.h smmintrin.h spawn.h stdalign.h
    stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h syslog.h
    termios.h threads.h time.h tmmintrin.h ucontext.h unistd.h utime.h wchar.h wctype.h x86intrin.h xmmintrin.h
    arm_neon.h arm_acle.h
    cstddef cstdint cstdlib cstring functional memory new string string_view utility vector""".split()
)

BANNED = {
    "alloca": "no alloca: take it from an arena",
    "setjmp": "no setjmp of our own",
    "longjmp": "no longjmp of our own",
    "strcpy": "use snprintf or memcpy with a size",
    "strcat": "use snprintf",
    "sprintf": "use snprintf",
    "vsprintf": "use vsnprintf",
    "strtok": "it keeps state; scan slices",
    "gets": "use fgets",
    "atoi": "it has no errors; parse by hand or strtol",
    "usleep": "time goes through struct sl_clock",
    "rand": "randomness goes through one seam",
    "srand": "randomness goes through one seam",
}


class Lint:
    def __init__(self, root, cc):
        self.root = root
        self.cc = cc
        self.paths = sources.files(root)
        self.texts = {path: sources.read(root, path) for path in self.paths}
        self.faults = []
        self.notes = []

    def fault(self, path, line, rule, what):
        self.faults.append((path, line, rule, what))

    def area(self, path):
        return path.split("/")[0]

    def is_beside(self, path):
        return self.area(path) in sources.BESIDE


def subdirs(lint):
    """Folders in the order of the root meson.build: a folder may use what stands above it."""
    text = sources.read(lint.root, "meson.build")
    return re.findall(r"^\s*subdir\('([^']+)'\)", text, re.M)


def folder_of(path, order):
    """The folder of the architecture that a file stands in: the longest one that fits."""
    folder = os.path.dirname(path)
    fits = [name for name in order if folder == name or folder.startswith(name + "/")]
    return max(fits, key=len) if fits else None


def rule_floors(lint):
    """Nothing includes upward."""
    order = subdirs(lint)
    place = {name: index for index, name in enumerate(order)}
    for path in lint.paths:
        own = folder_of(path, order)
        if own is None:
            lint.fault(path, 1, "floors", "stands in no folder of the root meson.build")
            continue
        for line, name, system in sources.includes(lint.texts[path]):
            if system:
                continue
            other = folder_of(name, order)
            if other is None or not os.path.exists(os.path.join(lint.root, name)):
                if not is_generated(lint, path, name):
                    lint.fault(path, line, "floors", f'"{name}" is not a path from the root')
            elif other != own and not may_use(own, other, place):
                lint.fault(path, line, "floors", f"{own} may not use {other}")


def is_generated(lint, path, name):
    """A header that a meson.build beside the file makes."""
    build = os.path.join(lint.root, os.path.dirname(path), "meson.build")
    return os.path.exists(build) and os.path.basename(name) in open(build, encoding="utf-8").read()


def may_use(own, other, place):
    if own.split("/")[0] in sources.BESIDE:
        return not other.startswith("tests") or own.startswith("tests")
    if other.split("/")[0] in sources.BESIDE or place[other] > place[own]:
        return False
    floor_0 = other in ("core/base", "core/mem")
    if own in FLOOR_1:
        return floor_0 or other in FLOOR_1[own]
    if own.startswith("codecs/"):
        return floor_0 or other in FLOOR_1_CODEC
    return True


def rule_only_includer(lint):
    """A third-party header is included in exactly one folder."""
    seen = {}
    for path in lint.paths:
        if lint.is_beside(path):
            continue
        for line, name, system in sources.includes(lint.texts[path]):
            if not system or name in SYSTEM or name.startswith(SYSTEM_PREFIXES):
                continue
            folder = os.path.dirname(path)
            for prefix, owner in ONLY_INCLUDER.items():
                if name == prefix or (prefix.endswith("/") and name.startswith(prefix)):
                    if folder != owner:
                        lint.fault(path, line, "only-includer", f"<{name}> belongs to {owner}")
                    break
            else:
                library = name.split("/")[0]
                first = seen.setdefault(library, folder)
                if first != folder:
                    lint.fault(path, line, "only-includer", f"<{name}> is already included in {first}")


def reasons(lint, name):
    """A list of exceptions: "path:function reason" a line; # comments."""
    found = {}
    path = os.path.join(lint.root, "tests/lint", name)
    if not os.path.exists(path):
        return found
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, _, reason = line.partition(" ")
        if len(reason.split()) < 3:
            lint.fault("tests/lint/" + name, number, "reasons", f"{key} needs a reason")
        found[key] = [number, False]
    return found


def rule_function_length(lint):
    """A function has at most 70 lines, or a written reason in long_functions.txt."""
    allowed = reasons(lint, "long_functions.txt")
    for path in lint.paths:
        for function in sources.functions(lint.texts[path]):
            if function.size <= FUNCTION_LINES_MAX:
                continue
            key = f"{path}:{function.name}"
            if key in allowed:
                allowed[key][1] = True
            else:
                what = f"{function.name} has {function.size} lines, at most {FUNCTION_LINES_MAX}"
                lint.fault(path, function.line, "function-length", what)
    for key, (number, used) in allowed.items():
        if not used:
            lint.fault("tests/lint/long_functions.txt", number, "reasons", f"{key} is not too long any more")


def rule_file_length(lint):
    """A file has at most 800 lines, or a written reason in long_files.txt."""
    allowed = reasons(lint, "long_files.txt")
    for path in lint.paths:
        count = lint.texts[path].count("\n")
        if count > FILE_LINES_MAX and path not in allowed:
            lint.fault(path, count, "file-length", f"{count} lines, at most {FILE_LINES_MAX}")


def rule_head(lint):
    """A file begins with the SPDX line and a comment that says what it is."""
    for path in lint.paths:
        lines = lint.texts[path].split("\n")
        if lines[0] != "/* SPDX-License-Identifier: MIT */":
            lint.fault(path, 1, "head", "first line must be /* SPDX-License-Identifier: MIT */")
        text = lint.texts[path]
        if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.M):
            lint.fault(path, 1, "head", "a header needs #pragma once")
        if len(lines) < 2 or not lines[1].startswith("/*"):
            if not path.endswith(".c") or not has_header(lint, path):
                lint.fault(path, 2, "head", "second line must begin a comment: what is this file?")


def has_header(lint, path):
    """The comment of x.c may stand in x.h."""
    return path[:-2] + ".h" in lint.texts


def rule_comments(lint):
    """Comments are /* … */; // is for your own debugging."""
    for path in lint.paths:
        for line in sources.line_comments(lint.texts[path]):
            lint.fault(path, line, "comments", "// comment")


def rule_todo(lint):
    """What is to be done is an issue, and is named: TODO(#12)."""
    for path in lint.paths:
        for number, line in enumerate(lint.texts[path].split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line) and not re.search(r"\(#\d+\)", line):
                lint.fault(path, number, "todo", "names no issue, such as TODO(#12)")


def rule_lines(lint):
    """No tabs, no white space at the end, no very long comments."""
    for path in lint.paths:
        text = lint.texts[path]
        if not text.endswith("\n") or text.endswith("\n\n"):
            lint.fault(path, text.count("\n"), "lines", "a file ends with one newline")
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line:
                lint.fault(path, number, "lines", "tab")
            if line != line.rstrip():
                lint.fault(path, number, "lines", "white space at the end of the line")
            if len(line) > LINE_COLUMNS_MAX:
                lint.fault(path, number, "lines", f"{len(line)} columns, at most {LINE_COLUMNS_MAX}")


def rule_banned(lint):
    """Functions and statements that the style leaves out."""
    for path in lint.paths:
        if path.endswith(".cc"):
            continue
        code = sources.blank(lint.texts[path]).split("\n")
        for number, line in enumerate(code, 1):
            for match in re.finditer(r"\b(\w+)\s*\(", line):
                word = match.group(1)
                before = line[: match.start()].rstrip()
                allowed = lint.is_beside(path) or (word == "usleep" and path.startswith(("io/", "ctl/cli/")))
                if word in BANNED and not allowed and not before.endswith((".", "->")):
                    lint.fault(path, number, "banned", f"{word}: {BANNED[word]}")
            if re.search(r"\bgoto\b", line) and not path.startswith("codecs/"):
                lint.fault(path, number, "banned", "goto outside codecs")
            if re.match(r"\s*typedef\s+(struct|union)\b[^(]*$", line) and not lint.is_beside(path):
                lint.fault(path, number, "banned", "no typedef for structs")


def private_headers(lint):
    """Headers that only their own folder (or tests) includes."""
    users = {}
    for path in lint.paths:
        for _, name, system in sources.includes(lint.texts[path]):
            if not system and not lint.is_beside(path):
                users.setdefault(name, set()).add(os.path.dirname(path))
    return {h for h in lint.paths if h.endswith(".h") and users.get(h, set()) <= {os.path.dirname(h)}}


def is_declared_here(text, name):
    """A prototype in the .c file itself, as for what a library calls by name."""
    return re.search(rf"^[A-Za-z_][^\n=]*\b{name}\([^{{;]*\);", text, re.M) is not None


def rule_names(lint):
    """What leaves its folder begins with sl_; what stays in its file is static."""
    private = private_headers(lint)
    declared = {}
    for path in lint.paths:
        if not path.endswith(".h") or lint.is_beside(path):
            continue
        for name, line, _ in sources.declarations(lint.texts[path]):
            declared.setdefault(name, path)
            if not name.startswith("sl_") and path not in private:
                lint.fault(path, line, "names", f"{name} leaves its folder and must begin with sl_")
    for path in lint.paths:
        if not path.endswith(".c") or lint.is_beside(path):
            continue
        for function in sources.functions(lint.texts[path]):
            known = function.static or function.name in declared or function.name == "main"
            if not known and not is_declared_here(lint.texts[path], function.name):
                what = f"{function.name} is neither static nor declared in a header"
                lint.fault(path, function.line, "names", what)
            if function.static and function.name.startswith("sl_"):
                lint.fault(path, function.line, "names", f"{function.name} is static: no prefix sl_")


def pkg_config_flags():
    names = "liburing mimalloc lmdb yaml-0.1 libsodium javascriptcoregtk-4.1 luajit openssl re2".split()
    flags = []
    for name in names:
        done = subprocess.run(["pkg-config", "--cflags", name], capture_output=True, text=True)
        if done.returncode == 0:
            flags += done.stdout.split()
    return flags


def rule_headers(lint):
    """Each header compiles alone."""
    flags = ["-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-I" + lint.root] + pkg_config_flags()

    def compile_one(path):
        source = f'#include "{path}"\ntypedef int not_empty;\n'
        command = lint.cc + flags + ["-x", "c", "-"]
        done = subprocess.run(command, input=source, capture_output=True, text=True)
        return path, done.returncode, done.stderr

    headers = [p for p in lint.paths if p.endswith(".h")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, code, errors in pool.map(compile_one, headers):
            if code != 0:
                first = next((l for l in errors.split("\n") if "error" in l), errors.strip())
                lint.fault(path, 1, "headers", "does not compile alone: " + first)


def rule_format(lint):
    """clang-format has nothing to change."""
    tool = next((name for name in FORMATTERS if shutil.which(name)), None)
    if tool is None:
        lint.notes.append(f"format: skipped, {FORMATTERS[0]} is not installed")
        return
    paths = [os.path.join(lint.root, p) for p in lint.paths]
    command = [tool, "--dry-run", "-Werror", "--style=file"]
    done = subprocess.run(command + paths, capture_output=True, text=True)
    seen = set()
    for match in re.finditer(r"^(.+?):(\d+):\d+: error", done.stderr, re.M):
        path = os.path.relpath(match.group(1), lint.root)
        if path not in seen:
            lint.fault(path, int(match.group(2)), "format", "not formatted: ./dev fmt")
        seen.add(path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--cc", default=os.environ.get("CC", "cc"))
    parser.add_argument("--no-compile", action="store_true", help="leave out what needs a compiler")
    args = parser.parse_args()
    lint = Lint(os.path.abspath(args.root), args.cc.split())
    rules = [value for name, value in globals().items() if name.startswith("rule_")]
    for rule in rules:
        if args.no_compile and rule in (rule_headers, rule_format):
            continue
        rule(lint)
    for path, line, rule, what in sorted(lint.faults):
        print(f"{path}:{line}: {rule}: {what}")
    for note in lint.notes:
        print(note)
    print(f"{len(lint.paths)} files, {len(rules)} rules, {len(lint.faults)} faults")
    return 1 if lint.faults else 0


if __name__ == "__main__":
    sys.exit(main())
