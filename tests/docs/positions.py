#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Errors of scripts name line and column of the author's file: in literal, folded and quoted texts, at
load and in a run.

    positions.py SLUICE

The mark ¦ stands before the place that the error must name; it is taken out of the file.
"""

import json
import re
import subprocess
import sys
import tempfile

from requests import Server

RUNS = [
    ("javascript", 'export default (self) => {\n  return self.¦a.b.c;\n};'),
    ("javascript", 'export default (self) => {\n  return [3, 1].sort((a, b) => {\n    return a.¦x.y - b;\n  });\n};'),
    ("javascript", 'export default (self) => [1].map((v) => {\n  throw new ¦Error("in map");\n});'),
    ("javascript", 'export default (self) => {\n  [1].forEach(function (v) { ¦nothing(v); });\n};'),
    ("javascript", 'export default async (self) => {\n  await null;\n  throw new ¦Error("late");\n};'),
    ("javascript", 'const f = async (x) => {\n  await null;\n  return x.¦y.z;\n};\n'
                   'export default async () => {\n  await null;\n  return await f({});\n};'),
    ("javascript", 'export default async () => {\n  return await Promise.all([1].map(async (v) => ¦BigInt(v + 0.5)));\n};'),
    ("javascript", 'export default (self) => ({\n  get a() { throw new ¦Error("getter"); },\n});'),
    ("javascript", 'export default (self) => ({\n  toJSON() { return ¦null.x; },\n});'),
    ("javascript", 'class A {\n  #x = 1;\n  get y() { return this.#x.¦z.q; }\n}\nexport default () => new A().y;'),
    ("javascript", 'export default (self) => {\n  return JSON.¦parse("{");\n};'),
    ("javascript", 'export default (self) => {\n  return ¦BigInt(1.5);\n};'),
    ("javascript", 'export default (self) => {\n  return new ¦URL("::");\n};'),
    ("javascript", 'export default (self) => {\n  return ¦atob("*");\n};'),
    ("javascript", 'function f(n) {\n  if (n === 0) throw new ¦TypeError("deep");\n  return f(n - 1);\n}\n'
                   'export default () => f(3);'),
    ("javascript", 'export default (self) => {\n  const é = "ключ"; const t = "😀"; ¦boo();\n};'),
    ("javascript", 'module.exports = (self) => {\n  ¦boo();\n};'),
    ("javascript", 'export default (self) => {\n  function* g() {\n    yield 1;\n    ¦null.x;\n  }\n  return [...g()];\n};'),
    ("javascript", 'export default (self) => {\n  return new Proxy({}, { get() { return ¦null.x; } }).a;\n};'),
    ("javascript", 'export default (self) => {\n  return "abc".replace(/b/, () => ¦null.x);\n};'),
    ("javascript", 'export default (self) => Promise.reject(new ¦Error("rejected"));'),
    ("javascript", 'export default (self) => {\n  ¦env.A = "\\\\ \\t";\n};'),
    ("typescript", 'interface A { a: number }\n\ntype B = A | string;\nexport default (self: A): B => {\n'
                   '  const x: any = null;\n  return ¦x.y as B;\n};'),
    ("typescript", 'enum E { A, B }\nabstract class P<T> { abstract f(t: T): void }\nclass Q extends P<number> {\n'
                   '  override f(t: number): void {\n    throw new ¦Error(E[t]);\n  }\n}\nexport default () => new Q().f(1);'),
    ("typescript", 'export default async (self: unknown) => {\n  for await (const x of [1] as number[]) {\n'
                   '    throw new ¦RangeError("n" + x);\n  }\n};'),
]

CEL = [
    'self.method ==\n  "GET" &&\n  [1, 2].all(x, 10 ¦/ (x - 1) > 2)',
    '{"a": 1,\n "b": self.¦nothing.at.all}',
    '{"é": "\\n", "b": size(self.method)\n  + ¦int("x")}',
]

LOADS = [
    ("javascript", 'export default (self) => {\n  return 5 +¦;\n};'),
    ("javascript", 'export default (self) => {\n  const é = "😀"; let 1¦x;\n};'),
    ("javascript", 'const a = 1;\nexport default (self) => {\n  const b = 2; ¦return /(?<a>x)(?<a>y)/.test(b);\n};'),
    ("javascript", 'const x = 1;\n¦import y from "y";\nexport default () => y;'),
    ("cel", '1 +\n  ¦nothing'),
    ("cel", '"\\t" + self.x == "1" &&\n  1 ¦+ "x"'),
    ("typescript", 'interface A { a: number }\nconst x: ¦= 3;\nexport default (self: A) => x;'),
]


def forms(code):
    """The text as YAML may hold it: literal, folded (an empty line is a newline), quoted."""
    yield "literal", "|\n" + "".join(f"    {line}\n" for line in code.split("\n"))
    yield "folded", ">\n" + "\n".join(f"    {line}\n" for line in code.split("\n"))
    yield "quoted", json.dumps(code, ensure_ascii=False) + "\n"


def take_mark(text):
    """The text without its mark, and the line and the column (bytes) of it."""
    at = text.index("¦")
    line_start = text.rfind("\n", 0, at) + 1
    place = (text.count("\n", 0, at) + 1, len(text[line_start:at].encode()) + 1)
    return text.replace("¦", ""), place


def snippet(name, language, form, ports=""):
    return f"- kind: snippet\n  name: {name}\n  language: {language}\n{ports}  code: {form}"


def runs_check(sluice):
    runs = RUNS + [("cel", code) for code in CEL]
    cases = [(language, code, *form) for language, code in runs for form in forms(code)]
    routes = "".join(f"    - {{method: GET, path: /{i}, port: 'out[{i}]'}}\n" for i in range(len(cases)))
    edges = "".join(f"    out[{i}]: [{{name: s{i}, port: in}}]\n" for i in range(len(cases)))
    text = "- {kind: listener, name: l, protocol: http, port: 8000, ports: {out: [{name: r, port: in}]}}\n" + \
        f"- kind: router\n  name: r\n  routes:\n{routes}  ports:\n{edges}" + \
        snippet("tell", "javascript", "'export default (error) => ({place: error.data, text: error.message})'\n")
    wanted = []
    for i, (language, _, _, form) in enumerate(cases):
        text += snippet(f"s{i}", language, form, "  ports: {error: [{name: tell, port: in}]}\n")
        text, place = take_mark(text)
        wanted.append(place)
    failed = 0
    with Server(sluice, text) as server:
        for i, (language, code, form, _) in enumerate(cases):
            _, _, value = server.ask([f"GET /{i} HTTP/1.1"])
            place = value.get("place") or {}
            if (place.get("line"), place.get("column")) != wanted[i]:
                print(f"{form} {language}: wanted {wanted[i]}, got {value}\n{code}\n")
                failed += 1
    return failed


def loads_check(sluice):
    failed = 0
    for language, code in LOADS:
        for name, form in forms(code):
            text, place = take_mark(snippet("s", language, form))
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(text)
                file.flush()
                done = subprocess.run([sluice, "check", file.name], capture_output=True, text=True, timeout=60, check=False)
            said = re.search(r"\.yaml:(\d+):(\d+): error", done.stdout + done.stderr)
            if said is None or (int(said.group(1)), int(said.group(2))) != place:
                print(f"{name} {language}: wanted {place}, got {done.stdout}{done.stderr}\n{code}\n")
                failed += 1
    return failed


if __name__ == "__main__":
    sys.exit(1 if runs_check(sys.argv[1]) + loads_check(sys.argv[1]) > 0 else 0)
