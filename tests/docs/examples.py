#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Runs what the documentation shows.

    examples.py SLUICE FILE.md…

A block of a language of scripts is run by `sluice eval` if its first line is a comment `self: JSON`;
its last line says what must come out: `→ JSON`, or `✗ CODE: MESSAGE` for an error. A block of YAML
must have no mistakes. Languages that were not built in are skipped.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

OPTIONS = {"javascript": "--js", "typescript": "--ts", "cel": "--cel", "lua": "--lua"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = r"^(?://|--|#) *"


def run(arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def script_check(sluice, language, text):
    """What is wrong with an example, or None."""
    first, last = text.splitlines()[0], text.splitlines()[-1]
    given = re.match(MARK + "self: (.*)", first)
    wanted = re.match(MARK + "(→|✗) (.*)", last)
    if given is None:
        return None
    if wanted is None:
        return "its last line does not say what comes out"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(given.group(1))
        file.flush()
        done = run([sluice, "eval", "--format", "json", OPTIONS[language], text, "--self", file.name])
    if "was not built in" in done.stderr:
        return None
    try:
        value = json.loads(done.stdout)
    except ValueError:
        return f"printed {done.stdout!r} {done.stderr!r}"
    if wanted.group(1) == "✗":
        if done.returncode == 0:
            return f"did not fail but gave {value}"
        error = value.get("error", value)
        got = f"{error.get('code')}: {error.get('message')}"
        return None if got == wanted.group(2) else f"failed with {got}"
    return None if done.returncode == 0 and value == json.loads(wanted.group(2)) else f"gave {value}"


def yaml_check(sluice, text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = run([sluice, "check", file.name])
    return None if done.returncode == 0 else done.stdout + done.stderr


def main():
    sluice, failed, count = sys.argv[1], 0, 0
    for name in sys.argv[2:]:
        page = pathlib.Path(name).read_text(encoding="utf-8")
        for match in BLOCK.finditer(page):
            language, text = match.groups()
            if language in OPTIONS:
                wrong = script_check(sluice, language, text)
            elif language == "yaml":
                wrong = yaml_check(sluice, text)
            else:
                continue
            count += 1
            if wrong is not None:
                line = page.count("\n", 0, match.start()) + 1
                print(f"{name}:{line}: {wrong}")
                failed += 1
    print(f"{count - failed} of {count} examples hold")
    return 1 if failed or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
