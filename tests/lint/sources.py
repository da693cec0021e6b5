# SPDX-License-Identifier: MIT
"""Reading C sources for the lint and the figures: no parser, only what formatted code lets us see.

clang-format puts the brace of a function alone in column 1 and nothing else there, so a function is
what stands between a line "{" and the next line "}".
"""
import os
import re

AREAS = ("core", "codecs", "io", "nodes", "ctl", "bench", "tests")
BESIDE = ("bench", "tests")  # beside the house: nothing uses them
SUFFIXES = (".c", ".h", ".cc")


def files(root):
    """All sources of the tree, as paths from its root."""
    found = []
    for area in AREAS:
        for folder, folders, names in os.walk(os.path.join(root, area)):
            folders.sort()
            for name in sorted(names):
                if name.endswith(SUFFIXES):
                    found.append(os.path.relpath(os.path.join(folder, name), root))
    return found


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def blank(text, keep_strings=False):
    """The text with comments (and the insides of strings) as spaces; lines stay where they are."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def spaces(match):
        part = match.group(0)
        if part[0] in "\"'":
            if keep_strings:
                return part
            return part[0] + re.sub(r"[^\n]", " ", part[1:-1]) + part[-1]
        return re.sub(r"[^\n]", " ", part)

    return pattern.sub(spaces, text)


def line_comments(text):
    """Lines that have a // comment."""
    code = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', '""', text)
    code = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.S)
    return [i for i, line in enumerate(code.split("\n"), 1) if "//" in line]


class Function:
    """name, static or not, first line of the signature, lines of the body, the body's text."""

    def __init__(self, name, static, line, size, body):
        self.name, self.static, self.line, self.size, self.body = name, static, line, size, body


def functions(text):
    """Functions defined in a file."""
    lines = blank(text).split("\n")
    found = []
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            head = start - 1
            while head > 0 and lines[head - 1].strip() and lines[head - 1][-1] not in ";}":
                head -= 1
            signature = " ".join(lines[head:start])
            signature = re.sub(r"__attribute__\s*\(\(.*?\)\)\)?", "", signature)
            names = re.findall(r"(\w+)\s*\(", signature)
            if names and "=" not in signature.split("(")[0]:
                body = "\n".join(lines[start + 1 : i])
                static = re.search(r"\bstatic\b", signature) is not None
                found.append(Function(names[0], static, head + 1, i - start - 1, body))
            start = None
    return found


def declarations(text):
    """Functions declared in a header, not inline: (name, line, has a comment above its group)."""
    lines = text.split("\n")
    code = blank(text).split("\n")
    found = []
    i = 0
    while i < len(code):
        head = re.match(r"^(?!typedef|static|#|(struct|enum|union)( \w+)? \{|extern)[A-Za-z_].*?\b(\w+)\(", code[i])
        if head and not code[i].startswith((" ", "}")):
            end = i
            while end < len(code) and ";" not in code[end] and code[end] != "{":
                end += 1
            if end < len(code) and ";" in code[end]:
                name = head.group(3)
                if name == "__attribute__":
                    later = re.findall(r"\b(\w+)\(", " ".join(code[i : end + 1]))
                    name = next((n for n in later if n.startswith("sl_")), name)
                above = i
                while above > 0 and lines[above - 1].strip() and not lines[above - 1].endswith("*/"):
                    above -= 1
                found.append((name, i + 1, above > 0 and lines[above - 1].endswith("*/")))
            i = end
        i += 1
    return found


def includes(text):
    """(line, "x/y.h" or <x.h>, is third-party form) of each include."""
    found = []
    for i, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if match:
            found.append((i, match.group(2), match.group(1) == "<"))
    return found
