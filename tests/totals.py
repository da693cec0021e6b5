#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Say how many tests passed: cmocka's own closing lines of each program, and their sum.

usage: totals.py build/meson-logs/testlog.json

A program that is no cmocka test counts as one. Exit 1 if anything failed.
"""
import json
import re
import sys
from collections import Counter

KINDS = (("PASSED", "passed"), ("FAILED", "failed"), ("SKIPPED", "skipped"))


def count(test):
    """(passed, failed, skipped, closing lines) of one program."""
    output = test.get("stdout", "") + "\n" + test.get("stderr", "")
    sums = {"passed": 0, "failed": 0, "skipped": 0}
    closing = []
    for line in output.split("\n"):
        if re.match(r"\[==========\] .*test\(s\) run\.$", line):
            closing.append(line)
        for word, kind in KINDS:
            match = re.match(rf"\[  ?{word} *\] (\d+) test\(s\)", line)
            if match:
                sums[kind] += int(match.group(1))
                closing.append(line)
    result = test["result"]
    if result == "SKIP":
        return 0, 0, max(1, sums["skipped"]), closing or ["skipped"]
    if not closing:
        good = result in ("OK", "EXPECTEDFAIL")
        return (1, 0, 0, ["ok"]) if good else (0, 1, 0, [result.lower()])
    if result != "OK" and sums["failed"] == 0:
        sums["failed"] = 1  # it crashed, leaked or timed out around its tests
        closing.append(result.lower())
    return sums["passed"], sums["failed"], sums["skipped"], closing


def main():
    totals = [0, 0, 0]
    with open(sys.argv[1], encoding="utf-8") as log:
        tests = [json.loads(line) for line in log if line.strip()]
    for test in tests:
        *numbers, closing = count(test)
        totals = [a + b for a, b in zip(totals, numbers)]
        name = test["name"].split(" / ")[-1]
        for line, times in Counter(closing).items():
            print(f"{name + ':':24} {line}" + (f" ({times} times)" if times > 1 else ""))
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
