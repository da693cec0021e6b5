#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Asks a running program what the documentation says it answers.

    requests.py SLUICE SCRIPTS.yaml LUA.yaml

These are docs/examples/scripts.yaml and lua.yaml. Then the names of headers, in whatever case a client
sends them, in every language that was built in.
"""

import json
import re
import select
import socket
import subprocess
import sys
import tempfile
import time

START_SECONDS = 60
REPLY_SIZE_MAX = 1 << 20

LANGUAGES = {
    "cel": '{"key": self.header["X-Api-Key"], "tag": self.header.Etag, "under": self.header["X_y"], '
           '"none": "x-api-key" in self.header, "names": self.header.map(k, k)}',
    "javascript": 'export default ({header}) => ({key: header["X-Api-Key"], tag: header.Etag, '
                  'under: header["X_y"], none: "x-api-key" in header, names: Object.keys(header)})',
    "typescript": 'export default (self: {header: Record<string, string[]>}) => ({key: self.header["X-Api-Key"], '
                  'tag: self.header.Etag, under: self.header["X_y"], none: "x-api-key" in self.header, '
                  'names: Object.keys(self.header)})',
    "lua": 'return function(self) local names = {} for k in pairs(self.header) do names[#names + 1] = k end '
           'return {key = self.header["X-Api-Key"], tag = self.header.Etag, under = self.header["X_y"], '
           'none = self.header["x-api-key"] ~= nil, names = names} end',
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def patient(text):
    """The workflow with long timeouts: how fast the machine is, is not the question."""
    text = re.sub(r"^  timeout: .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^  language: (javascript|typescript|lua)\n", r"\g<0>  timeout: 20s\n", text, flags=re.MULTILINE)
    return re.sub(r"language: (javascript|typescript|lua), ", r"\g<0>timeout: 20s, ", text)


class Server:
    """The program with one workflow, on a port that was free a moment ago."""

    def __init__(self, sluice, text, *options):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.port = free_port()
        text = re.sub(r"port: 8000\b", f"port: {self.port}", text)
        self.file.write(text)
        self.file.flush()
        self.log = ""
        self.process = subprocess.Popen([sluice, "start", *options, self.file.name], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self):
        self.wait_for("http://127.0.0.1:")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=START_SECONDS)
        self.file.close()

    def wait_for(self, text):
        """Read the log until `text` is in it."""
        end = time.monotonic() + START_SECONDS
        while text not in self.log:
            ready, _, _ = select.select([self.process.stderr], [], [], max(0, end - time.monotonic()))
            part = self.process.stderr.read1(65536) if ready else b""
            if not part:
                raise SystemExit(f"the log never said {text!r}:\n{self.log}")
            self.log += part.decode()

    def ask(self, head, body=b""):
        """Status, header by small names, decoded JSON (or text). The head is sent as it is written."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS) as link:
            lines = [*head, "Host: test", f"Content-Length: {len(body)}", "Connection: close", "", ""]
            link.sendall("\r\n".join(lines).encode() + body)
            reply = b""
            while len(reply) < REPLY_SIZE_MAX:
                part = link.recv(65536)
                if not part:
                    break
                reply += part
        top, _, content = reply.decode().partition("\r\n\r\n")
        status, *fields = top.split("\r\n")
        header = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        is_json = header.get("content-type", "").startswith("application/json")
        return int(status.split()[1]), header, json.loads(content) if is_json else content

    def post(self, path, body):
        return self.ask([f"POST {path} HTTP/1.1", "cOnTeNt-TyPe: application/json"], body)


failed = 0


def expect(what, got, wanted):
    global failed
    if got != wanted:
        print(f"{what}: wanted {wanted!r}, got {got!r}")
        failed += 1


def check_example(sluice, path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with Server(sluice, patient(text), "--env", "SHOP=Corner") as server:
        status, _, value = server.post("/orders", b'{"items": [{"price": 250, "count": 2}]}')
        expect("order", (status, value), (201, {"shop": "Corner", "total": 500}))
        status, _, value = server.post("/orders", b'{"items": []}')
        expect("empty order", (status, value), (422, {"code": "bad_order", "message": "items: expected one at least"}))
        status, _, value = server.ask(["GET /whoami HTTP/1.1", "x-uSER-name: ada"])
        expect("whoami", (status, value["user"]), (200, "ada"))
        _, _, value = server.ask(["GET /link?to=../b%20c%3Fq=1 HTTP/1.1"])
        expect("link", value, {"href": "http://example.com/b%20c?q=1", "query": [["q", "1"]]})
        _, _, value = server.post("/sorted", b"[3, 1, 9007199254740993, 2]")
        expect("sorted", value, [1, 2, 3, 9007199254740993])
        server.wait_for("an order of 1 items")


def check_lua(sluice, path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with Server(sluice, text, "--env", "SHOP=Corner") as server:
        status, _, value = server.post("/orders", b'{"items": [{"price": 250, "count": 2}]}')
        expect("Lua order", (status, value), (201, {"shop": "Corner", "total": 500}))
        status, _, value = server.post("/orders", b'{"items": []}')
        expect("Lua empty order", (status, value),
               (422, {"code": "bad_order", "message": "items: expected one at least"}))
        _, _, value = server.ask(["GET /words?text=the+cat+and+the+dog HTTP/1.1"])
        expect("Lua words", value, {"the": 2, "cat": 1, "and": 1, "dog": 1})
        _, _, value = server.post("/next", b'{"id": 9007199254740993, "tags": []}')
        expect("Lua next", value, {"id": 9007199254740994, "tags": []})
        for _ in range(3):
            status, _, value = server.ask(["GET /forever HTTP/1.1"])
            expect("Lua deadline", (status, value["code"]), (504, "script_deadline"))
            status, _, value = server.ask(["GET /hungry HTTP/1.1"])
            expect("Lua memory", (status, value["code"]), (500, "script_memory"))


def check_headers(sluice, language, code):
    text = "- {kind: listener, name: l, protocol: http, port: 8000, ports: {out: [{name: s, port: in}]}}\n" + \
        f"- {{kind: snippet, name: s, language: {language}, code: {json.dumps(code)}}}\n"
    with Server(sluice, patient(text)) as server:
        for names in (("X-Api-Key", "ETag"), ("x-api-key", "etag"), ("X-API-KEY", "ETAG"), ("x-aPI-kEy", "eTAG")):
            _, _, value = server.ask(["GET / HTTP/1.1", f"{names[0]}: one", f"{names[1]}: two", "x_Y: three",
                                      f"{names[0].upper()}: four"])
            given = sorted(value.pop("names"))
            expect(f"{language} {names}", value, {"key": ["one", "four"], "tag": ["two"], "under": ["three"], "none": False})
            expect(f"{language} names", given, ["Connection", "Content-Length", "Etag", "Host", "X-Api-Key", "X_y"])


FLOOD = r"""export default (self) => {
  for (let i = 0; i < 50; i++) console.log('mark' + ' \x1b[2K\rfake\x9b2J\n2026-01-01T00:00:00.000Z error forged');
  return self.path;
}"""


def check_flood(sluice):
    """1,000 requests with 50 messages each: few are written, and none looks like another's."""
    text = "- {kind: listener, name: l, protocol: http, port: 8000, ports: {out: [{name: flood, port: in}]}}\n" + \
        f"- {{kind: snippet, name: flood, language: javascript, code: {json.dumps(FLOOD)}}}\n"
    with Server(sluice, patient(text)) as server:
        begin = time.monotonic()
        for _ in range(1000):
            server.ask(["GET / HTTP/1.1"])
        seconds = time.monotonic() - begin
        time.sleep(1.5)  # the bucket fills again
        server.ask(["GET / HTTP/1.1"])
        server.wait_for("more left out)")
        lines = server.log.split("\n")
        marks = sum("mark" in line for line in lines)
        expect("flood", 0 < marks <= 100 * 64 * (seconds + 3) and marks < 25000, True)
        expect("forged", [line for line in lines if re.match("2026-01-01|fake", line)], [])
        expect("escapes", [line for line in lines if "\x1b" in line or "\x9b" in line or "\r" in line], [])


BODIES = {
    "cel": ('self.path', 'self.body.a'),
    "javascript": ('export default (self) => self.path', 'export default (self) => self.body.a ?? 1'),
    "typescript": ('export default (self: any) => Object.keys(self).includes("body") ? self.path : 0',
                   'export default (self: any) => ({...self}).path'),
    "lua": ('return function(self) return self.path end', 'return function(self) return self.body end'),
}


def check_bodies(sluice, language, texts):
    """A body that does not parse is the client's mistake for a script that reads it."""
    for text, wanted in zip(texts, (200, 400)):
        spec = "- {kind: listener, name: l, protocol: http, port: 8000, ports: {out: [{name: s, port: in}]}}\n" + \
            f"- {{kind: snippet, name: s, language: {language}, code: {json.dumps(text)}}}\n"
        with Server(sluice, patient(spec)) as server:
            status, _, _ = server.post("/x", b'{"a": [1, 2')
            expect(f"{language} {text}", status, wanted)
            status, _, _ = server.post("/x", b'{"a": 1}')
            expect(f"{language} {text}, a good body", status, 200)


def main():
    check_flood(sys.argv[1])
    sluice = sys.argv[1]
    check_example(sluice, sys.argv[2])
    version = subprocess.run([sluice, "version"], capture_output=True, text=True, check=True, timeout=60).stdout
    if "lua" in version:
        check_lua(sluice, sys.argv[3])
    for language, code in LANGUAGES.items():
        if language in version:
            check_headers(sluice, language, code)
            check_bodies(sluice, language, BODIES[language])
        else:
            print(f"{language}: not built in, skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
