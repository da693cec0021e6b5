#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Every option of `sluice-bench http` against servers that count for themselves.

    servers.py SLUICE-BENCH SLUICE

sluice, and HAProxy and nginx where they are installed: what the harness says it sent and got is
compared with their counters. Then what only a server of our own can show: a reply that never comes,
an interrupt, the progress line on a terminal. All on 127.0.0.1, in a temporary folder.
"""

import csv
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BENCH, SLUICE = sys.argv[1:3]
DIR = tempfile.mkdtemp(prefix="sluice-servers-")
BODIES = {"/a": b"aaa", "/b": b"bbbbbb"}


def port_free():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def path(name):
    return os.path.join(DIR, name)


def put(name, text):
    with open(path(name), "w", encoding="utf-8") as file:
        file.write(text)
    return path(name)


def unix_ask(name, text):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(name)
        sock.sendall(text)
        got = b""
        while part := sock.recv(65536):
            got += part
        return got.decode()


class Server:
    """A server, and what it has counted: requests, connections, received, sent."""

    unix = None
    sees_bytes = True  # as they are on the wire
    reads_bodies = True  # of requests that it answers without them

    def __init__(self, command):
        self.log = open(path(self.name + ".log"), "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} does not listen")

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()

    def settled(self):
        """Counters once they stand still: closed connections are noticed a little later."""
        last = None
        for _ in range(100):
            now = self.counters()
            if now == last:
                return now
            last = now
            time.sleep(0.06)
        return last


class Sluice(Server):
    name = "sluice"

    def __init__(self):
        self.port = port_free()
        spec = put("sluice.yaml", f"""
- {{kind: listener, name: web, protocol: http, port: {self.port}, ports: {{out: [{{name: routes, port: in}}]}}}}
- kind: router
  name: routes
  routes:
    - {{method: GET, path: /a, port: 'out[0]'}}
    - {{method: GET, path: /b, port: 'out[1]'}}
    - {{method: DELETE, path: /b, port: 'out[1]'}}
    - {{method: PUT, path: /b, port: 'out[1]'}}
    - {{method: POST, path: /b, port: 'out[1]'}}
  ports:
    out[0]: [{{name: a, port: in}}]
    out[1]: [{{name: b, port: in}}]
- {{kind: snippet, name: a, language: text, code: aaa}}
- {{kind: snippet, name: b, language: text, code: bbbbbb}}
""")
        super().__init__([SLUICE, "start", "-f", spec, "--data", path("sluice.data"), "--control", path("control"),
                          "--access-log", path("sluice.access")])

    def counters(self):
        text = unix_ask(path("control"), b"GET /metrics HTTP/1.0\r\nHost: s\r\n\r\n")

        def total(name):
            lines = re.findall(rf"^sluice_http_{name}(?:{{[^}}]*}})? (\S+)$", text, re.M)
            return sum(int(float(value)) for value in lines)

        return tuple(total(name + "_total") for name in ("requests", "connections", "received_bytes", "sent_bytes"))

    def lines(self):
        time.sleep(0.4)  # a block of the log that is not full waits a tenth of a second
        with open(path("sluice.access"), encoding="utf-8") as file:
            return [(line["method"], line["target"]) for line in map(json.loads, file) if "method" in line]


class Haproxy(Server):
    name = "haproxy"
    sees_bytes = False  # it counts its own form of heads

    def __init__(self):
        self.port = port_free()
        self.unix = path("haproxy.sock")
        conf = put("haproxy.cfg", f"""
global
    nbthread 1
    stats socket {path("haproxy.stats")}
defaults
    mode http
    timeout client 60s
    timeout connect 5s
    timeout server 60s
    timeout http-keep-alive 60s
frontend peer
    bind 127.0.0.1:{self.port}
    bind unix@{self.unix}
    http-request return status 200 content-type text/plain string "aaa" if {{ path /a }}
    http-request return status 200 content-type text/plain string "bbbbbb" if {{ path /b }}
    http-request return status 404 content-type text/plain string "none"
""")
        super().__init__(["haproxy", "-db", "-f", conf])

    def counters(self):
        text = unix_ask(path("haproxy.stats"), b"show stat\n")
        row = next(row for row in csv.DictReader(io.StringIO(text[2:])) if row["svname"] == "FRONTEND")
        return tuple(int(row[key]) for key in ("req_tot", "conn_tot", "bin", "bout"))


class Nginx(Server):
    name = "nginx"
    reads_bodies = False

    def __init__(self):
        self.port = port_free()
        self.unix = path("nginx.sock")
        temp = "\n".join(f"    {name}_temp_path {path('tmp')};" for name in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = put("nginx.conf", f"""
worker_processes 1;
daemon off;
pid {path("nginx.pid")};
error_log {path("nginx.error")};
events {{ worker_connections 1024; }}
http {{
{temp}
    log_format counted '$connection $request_length $bytes_sent $request_method $uri';
    access_log {path("nginx.access")} counted;
    keepalive_requests 1000000;
    default_type text/plain;
    server {{
        listen 127.0.0.1:{self.port};
        listen unix:{self.unix};
        location = /a {{ return 200 "aaa"; }}
        location = /b {{ return 200 "bbbbbb"; }}
        location / {{ return 404 "none"; }}
    }}
}}
""")
        super().__init__(["nginx", "-p", DIR, "-e", path("nginx.error"), "-c", conf])

    def rows(self):
        with open(path("nginx.access"), encoding="utf-8") as file:
            return [line.split() for line in file]

    def counters(self):
        rows = self.rows()
        return (len(rows), len({row[0] for row in rows}), sum(int(row[1]) for row in rows),
                sum(int(row[2]) for row in rows))

    def lines(self):
        return [(row[3], row[4]) for row in self.rows()]


failures = []


def check(is_right, text):
    if not is_right:
        failures.append(text)
        print("FAILED:", text, flush=True)


def bench(arguments, code=0, **more):
    """
    Run `sluice-bench http`; its JSON, or what it wrote if that is none. On a busy machine it may say of
    an open loop that the generator was late (4): that is no fault.
    """
    run = subprocess.run([BENCH, "http", "-q", "--no-jitter", "--format", "json", *arguments], capture_output=True,
                         text=True, timeout=120, check=False, **more)
    is_open = "-r" in arguments or "--find-capacity" in arguments
    check(run.returncode == code or (is_open and run.returncode == 4), f"{arguments}: exit {run.returncode}, expected {code}: {run.stderr[:300]}")
    try:
        return json.loads(run.stdout)
    except json.JSONDecodeError:
        return {"text": run.stdout + run.stderr}


def counted(server, arguments, connections, what=None):
    """A run of which the server must have seen exactly what the harness says."""
    before = server.settled()
    said = bench(arguments)
    if "requests" not in said:
        check(False, f"{server.name} {arguments}: no figures: {said['text'][:300]}")
        return said
    after = server.settled()
    requests, conns, received, sent = (b - a for a, b in zip(before, after))
    label = f"{server.name} {' '.join(arguments)}"
    has_body = any(name in arguments for name in ("--body", "--body-file", "--request-file"))
    check(said["errors"] == 0, f"{label}: {said['errors_by_kind']}")
    check(requests == said["requests"], f"{label}: {requests} requests seen, {said['requests']} said")
    if server.sees_bytes and (server.reads_bodies or not has_body):
        check(received == said["bytes_out"], f"{label}: {received} bytes received, {said['bytes_out']} said")
    if server.sees_bytes:
        check(sent == said["bytes_in"], f"{label}: {sent} bytes sent, {said['bytes_in']} said")
    if connections is not None:
        check(conns == connections == said["connects"], f"{label}: {conns} connections, {said['connects']} said")
    if what is not None:
        check(said["requests"] == what, f"{label}: {said['requests']} requests, asked for {what}")
    return said


def exact_runs(server):
    """No warm-up, a number of requests: all counters must agree to the byte."""
    url = f"http://127.0.0.1:{server.port}"
    body = put("body.bin", "x" * 3000)
    rows = put("requests.txt", f"2 GET /a\n1 POST /b body=hello\n1 PUT /b body=@{body} header=\"X-A: 1\"\n")
    counted(server, ["-n", "500", "-c", "8", url + "/a"], 8, 500)
    counted(server, ["-n", "501", "-c", "8", "--io", "epoll", url + "/a"], 8, 501)
    counted(server, ["-n", "515", "-c", "4", "--pipeline", "16", url + "/a"], 4, 515)
    counted(server, ["-n", "200", "-c", "4", "--close", url + "/a"], 200, 200)
    counted(server, ["-n", "60", "-c", "2", "-m", "DELETE", url + "/b"], 2, 60)
    counted(server, ["-n", "60", "-c", "2", "--body", "hello", url + "/b"], 2, 60)
    counted(server, ["-n", "60", "-c", "2", "-m", "PUT", "--body-file", body, url + "/b"], 2, 60)
    counted(server, ["-n", "60", "-c", "2", "-H", "X-One: 1", "-H", "X-Two: 2", url + "/a"], 2, 60)
    counted(server, ["-n", "60", "-c", "4", "--threads", "2", "--cores", "0-1", url + "/a"], 4, 60)
    counted(server, ["-n", "60", "-c", "2", "--priority", "5", "--spin", "always", url + "/a"], 2, 60)
    said = counted(server, ["-n", "800", "-c", "2", "--check-status", "200", f"3:{url}/a", f"1:{url}/b"], 2, 800)
    check(said.get("statuses") == {"200": 800}, f"{server.name}: statuses {said.get('statuses')}")
    counted(server, ["-n", "80", "-c", "2", "--check-body", "aaa", url + "/a"], 2, 80)
    counted(server, ["-n", "400", "-c", "2", "--request-file", rows, url], 2, 400)
    counted(server, ["-n", "300", "-r", "2k", "-w", "0", "-c", "4", url + "/a"], None, 300)
    counted(server, ["-r", "400", "-w", "0", "-t", "500ms", "-c", "4", url + "/a"], None, 200)
    counted(server, ["-r", "100..300", "-w", "0", "-t", "1s", "-c", "4", url + "/a"], None, 200)
    counted(server, ["-r", "500", "-w", "0", "-t", "400ms", "--close", "-c", "8", url + "/a"], None, 200)
    if server.unix is not None:
        quoted = server.unix.replace("/", "%2F")
        counted(server, ["-n", "90", "-c", "3", "--unix", server.unix, "http://localhost/a"], 3, 90)
        counted(server, ["-n", "90", "-c", "3", f"http+unix://{quoted}/a"], 3, 90)
    if hasattr(server, "lines"):
        before = len(server.lines())
        said = bench(["-n", "4000", "-c", "4", "--request-file", rows, url])
        lines = server.lines()[before:]
        check(len(lines) == 4000, f"{server.name}: {len(lines)} lines in its log for 4000 requests")
        shares = [lines.count(row) / 4000 for row in (("GET", "/a"), ("POST", "/b"), ("PUT", "/b"))]
        right = all(abs(got - want) < 0.04 for got, want in zip(shares, (0.5, 0.25, 0.25)))
        check(right and sum(shares) == 1, f"{server.name}: shares {shares}")


def window_runs(server):
    """With a warm-up the server sees more than is counted, and no less."""
    url = f"http://127.0.0.1:{server.port}"
    before = server.settled()
    ticks = proc_ticks(server.process.pid)
    said = bench(["-t", "700ms", "-w", "300ms", "-c", "8", "--pid", str(server.process.pid), url + "/a"])
    seen = server.settled()[0] - before[0]
    check(0 < said["requests"] < seen, f"{server.name}: {seen} seen, {said['requests']} counted, and a warm-up")
    check(0.6 < said["duration_s"] < 0.8, f"{server.name}: measured {said['duration_s']} s")
    used = said["server"]["cpu_us_per_request"] * said["requests"] / 1e6
    ticks = (proc_ticks(server.process.pid) - ticks) / os.sysconf("SC_CLK_TCK")
    check(0 < used <= ticks + 0.1, f"{server.name}: {used} s of CPU said, {ticks} s in /proc")
    check(said["server"]["rss_bytes"] > 100000, f"{server.name}: RSS {said['server']['rss_bytes']}")
    said = bench(["-r", "300", "-t", "600ms", "-w", "400ms", "-c", "4", url + "/a"])
    check(said["requests"] == 180, f"{server.name}: open loop: {said['requests']} of 180")
    # What is found depends on the machine; that something is, does not.
    said = bench(["--find-capacity", "p99=500ms", "--step", "100ms", "-t", "200ms", "-c", "8", url + "/a"], 0)
    check("rate" in json.dumps(said), f"{server.name}: capacity: {str(said)[:200]}")


def judged_runs(server):
    url = f"http://127.0.0.1:{server.port}"
    short = ["-n", "40", "-c", "2"]
    said = bench([*short, "--check-status", "200", url + "/none"])
    check(said["errors"] == 40 and said["errors_by_kind"] == {"status": 40}, f"{server.name}: {said['errors_by_kind']}")
    check(said["statuses"] == {"404": 40}, f"{server.name}: {said['statuses']}")
    bench([*short, "--check-status", "404", "--fail-if", "errors>0", url + "/none"])
    bench([*short, "--check-status", "any", "--fail-if", "errors>0", url + "/none"])
    said = bench([*short, "--check-body", "aab", "--fail-if", "error_share>0.99", url + "/a"], 1)
    check(said["errors_by_kind"] == {"body": 40}, f"{server.name}: {said['errors_by_kind']}")
    wanted = put("wanted.bin", "bbbbbb")
    bench([*short, "--check-body-file", wanted, "--fail-if", "errors>0", url + "/b"])
    bench([*short, "--fail-if", "p99>0us", url + "/a"], 1)
    bench([*short, "--fail-if", "p99>1m", "--fail-if", "requests<40", url + "/a"])
    bench([*short, "--fail-if", "rate>1", url + "/a"], 1)
    kept = path("kept.hlog")
    bench([*short, "--baseline-write", kept, url + "/a"])
    bench([*short, "--against", kept, "--fail-if", "p50>1000000x", url + "/a"])
    bench([*short, "--against", kept, "--fail-if", "p50>0.000001x", url + "/a"], 1)
    page = path("page.html")
    bench([*short, "--html", page, url + "/a"])
    with open(page, encoding="utf-8") as file:
        check("<svg" in file.read(), f"{server.name}: no chart in the page")


def proc_ticks(root):
    """User and system ticks of a process and its children."""
    total = 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                part = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(name) == root or int(part[1]) == root:
            total += int(part[11]) + int(part[12])
    return total


def interrupted(server):
    """An interrupt in the middle: the figures so far, and a code that says it was no whole run."""
    url = f"http://127.0.0.1:{server.port}/a"
    before = server.settled()
    with subprocess.Popen([BENCH, "http", "-q", "--format", "json", "-w", "0", "-t", "60s", "-c", "4", "-r", "500", url],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        for _ in range(400):
            if server.counters()[0] >= before[0] + 100:
                break
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=20)
    said = json.loads(out)
    seen = server.settled()[0] - before[0]
    check(run.returncode == 130, f"{server.name}: interrupted: exit {run.returncode}: {err[:200]}")
    check(0.1 < said["duration_s"] < 30, f"{server.name}: interrupted after {said['duration_s']} s")
    check(0 < said["requests"] <= seen <= said["requests"] + 8, f"{server.name}: {seen} seen, {said['requests']} said")


def progress_on_a_terminal(server):
    """One line that is written over, and gone at the end; the result on stdout."""
    url = f"http://127.0.0.1:{server.port}/a"
    master, slave = pty.openpty()
    with subprocess.Popen([BENCH, "http", "-w", "0", "-t", "2.5s", "-c", "2", "-r", "200", url], stdout=subprocess.PIPE,
                          stderr=slave) as run:
        os.close(slave)
        shown = b""
        while select.select([master], [], [], 20)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:
                break
            shown += part
        out = run.communicate(timeout=20)[0].decode()
    os.close(master)
    text = shown.decode()
    check(text.count("\r") >= 1, f"progress: not written over: {text!r}")
    check(re.search(r"\d+/s", text) is not None, f"progress: no rate: {text!r}")
    check(text.rstrip("\r\n").endswith("\033[K") or text.endswith("\r\033[K"), f"progress: not gone: {text[-60:]!r}")
    check("\033" not in out and "p99" in out, f"progress: result {out[:200]!r}")


def silent_server():
    """Takes connections and requests and says nothing: errors by kind, in time."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    held = []

    def take():
        try:
            while True:
                held.append(sock.accept()[0])
        except OSError:
            pass

    threading.Thread(target=take, daemon=True).start()
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
    begin = time.monotonic()
    said = bench(["-r", "100", "-w", "0", "-t", "300ms", "-c", "4", "--timeout", "200ms", url], 3)
    took = time.monotonic() - begin
    check(took < 10, f"silent server: {took} s")
    kinds = said.get("errors_by_kind", {})
    check(sum(kinds.values()) in (0, 30) and set(kinds) <= {"timeout", "unsent"}, f"silent server: {kinds} {said.get('text', '')}")
    sock.close()


def main():
    servers = [Sluice]
    servers += [Haproxy] if shutil.which("haproxy") else []
    servers += [Nginx] if shutil.which("nginx") else []
    try:
        for kind in servers:
            server = kind()
            try:
                for part in (exact_runs, window_runs, judged_runs, interrupted, progress_on_a_terminal):
                    part(server)
            finally:
                server.end()
            print(f"{kind.name}: done", flush=True)
        silent_server()
    finally:
        shutil.rmtree(DIR, ignore_errors=True)
    if failures:
        raise SystemExit(f"{len(failures)} of its words are not true")


main()
