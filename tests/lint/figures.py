#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Figures about the sources that the style holds itself to. usage: figures.py ROOT"""
import re
import sys

import sources


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0


def count_lines(text):
    """(code, comment) lines; a line with both counts as code."""
    code = sum(1 for line in sources.blank(text).split("\n") if line.strip())
    every = sum(1 for line in text.split("\n") if line.strip())
    return code, every - code


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    areas = {}
    for path in sources.files(root):
        text = sources.read(root, path)
        area = areas.setdefault(path.split("/")[0], {
            "functions": [], "asserts": 0, "code": 0, "comments": 0, "files": [], "public": 0, "documented": 0})
        code, comments = count_lines(text)
        found = sources.functions(text)
        area["functions"] += [f.size for f in found]
        area["asserts"] += sum(len(re.findall(r"\b(?:sl_assert|sl_assert_slow|sl_unreachable)\(", f.body)) for f in found)
        area["asserts"] += len(re.findall(r"^static_assert\(", text, re.M))
        area["code"] += code
        area["comments"] += comments
        if path.endswith((".c", ".cc")):
            area["files"].append(text.count("\n"))
        else:
            declared = [d for d in sources.declarations(text) if d[0].startswith("sl_")]
            area["public"] += len(declared)
            area["documented"] += sum(1 for d in declared if d[2])

    head = ("area", "code", "functions", "median", "p90", ">70 %", "asserts/fn", "comment/code", ".c median", ".c p90",
            "public", "documented")
    rows = [head]
    house = [name for name in areas if name not in sources.BESIDE]
    for name in [*areas, "house"]:
        parts = [areas[n] for n in house] if name == "house" else [areas[name]]
        lengths = [size for part in parts for size in part["functions"]]
        lines = [size for part in parts for size in part["files"]]
        total = {key: sum(part[key] for part in parts) for key in ("code", "comments", "asserts", "public", "documented")}
        count = max(1, len(lengths))
        rows.append((name, total["code"], len(lengths), percentile(lengths, 0.5), percentile(lengths, 0.9),
                     f"{100 * sum(1 for size in lengths if size > 70) / count:.1f}", f"{total['asserts'] / count:.2f}",
                     f"{total['comments'] / max(1, total['code']):.2f}", percentile(lines, 0.5), percentile(lines, 0.9),
                     total["public"], total["documented"]))
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(head))]
    for row in rows:
        print("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))
    code = sum(areas[name]["code"] for name in house)
    tests = areas.get("tests", {"code": 0})["code"]
    print(f"test:code {tests / max(1, code):.2f} ({tests} lines of tests, {code} of the house)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
