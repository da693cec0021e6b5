#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
`sluice tune --persist /` on a real /etc, and --revert.

    tune_persist.py SLUICE

In a mount namespace of its own (a user namespace gives the right to it, so no root is needed), /etc
and /var/lib are copies of this machine's. After --revert both trees must be what they were: names,
kinds, bytes, modes, owners, times of files, links. Exit 77 where the kernel forbids such namespaces.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile

FILES = {
    "/etc/sysctl.d/60-sluice.conf": "net.ipv4.tcp_max_syn_backlog",
    "/etc/tmpfiles.d/60-sluice.conf": "guest_halt_poll_ns",
    "/etc/systemd/system/sluice.service.d/60-tune.conf": "LimitNOFILE=",
}
RULES = ("syn-backlog", "nofile", "haltpoll", "rps")


def copy_of(source, target):
    """What of it may be read: names, bytes, modes, links; owners are those of the namespace."""
    os.makedirs(target, exist_ok=True)
    for here, dirs, names in os.walk(source):
        there = os.path.join(target, os.path.relpath(here, source))
        for name in list(dirs) + names:
            old, new = os.path.join(here, name), os.path.join(there, name)
            mode = os.lstat(old).st_mode
            try:
                if stat.S_ISLNK(mode):
                    os.symlink(os.readlink(old), new)
                elif stat.S_ISDIR(mode):
                    os.makedirs(new, exist_ok=True)
                    shutil.copystat(old, new)
                elif stat.S_ISREG(mode):
                    shutil.copy2(old, new)
            except PermissionError:
                pass


def picture(*roots):
    """Everything below, as it is."""
    seen = {}
    for root in roots:
        for here, dirs, names in os.walk(root):
            for name in [""] + dirs + names:
                path = os.path.join(here, name) if name else here
                about = os.lstat(path)
                what = [stat.filemode(about.st_mode), about.st_uid, about.st_gid]
                if stat.S_ISLNK(about.st_mode):
                    what.append(os.readlink(path))
                elif stat.S_ISREG(about.st_mode):
                    with open(path, "rb") as file:
                        what += [about.st_mtime_ns, about.st_ino, file.read()]
                seen[path] = what
    return seen


def differences(before, after):
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def tune(sluice, *arguments, code=0):
    run = subprocess.run([sluice, "tune", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if run.returncode != code:
        raise SystemExit(f"tune {' '.join(arguments)}: exit {run.returncode}\n{run.stdout[-600:]}\n{run.stderr}")
    return run.stdout + run.stderr


def available(sluice):
    """Those of our rules that propose something on this machine."""
    text = tune(sluice)
    return [rule for rule in RULES if f"rule    {rule}\n" in text.split("left alone")[0]]


def persist_and_revert(sluice, rules):
    only = [word for rule in rules for word in ("--only", rule)]
    before = picture("/etc", "/var/lib")
    tune(sluice, *only, "--persist", "/", "--dry-run")
    if changed := differences(before, picture("/etc", "/var/lib")):
        raise SystemExit(f"--dry-run changed {changed}")
    tune(sluice, *only, "--persist", "/")
    during = picture("/etc", "/var/lib")
    changed = differences(before, during)
    written = [path for path in FILES if path in changed and path in during]
    if not written:
        raise SystemExit(f"no file was written: {changed}")
    for path in written:
        if during[path][0] not in ("-rw-r--r--", "-rw-------"):
            raise SystemExit(f"{path} is {during[path][0]}")
    for path in changed:
        owner = os.path.dirname(path)
        known = path.startswith("/var/lib/sluice") or any(name.startswith(path) for name in FILES)
        if not known and path not in ("/etc", "/var/lib", *map(os.path.dirname, FILES)):
            raise SystemExit(f"changed {path} (in {owner})")
    # A second time over what is there, then the way back.
    tune(sluice, *only, "--persist", "/")
    tune(sluice, "--revert")
    left = [path for path in differences(before, picture("/etc", "/var/lib"))
            if not path.startswith("/var/lib/sluice") and path != "/var/lib"]
    if left:
        raise SystemExit(f"not as it was: {left}")
    if diff := subprocess.run(["diff", "-r", "--no-dereference", "/etc", os.environ["TUNE_COPY"]],
                              capture_output=True, text=True, check=False).stdout:
        raise SystemExit(f"diff -r: {diff[:500]}")
    tune(sluice, "--revert")
    return written


def own_file_comes_back(sluice):
    """A file of that name that was there before is the same file again."""
    path = "/etc/sysctl.d/60-sluice.conf"
    with open(path, "w", encoding="utf-8") as file:
        file.write("# mine\nvm.swappiness = 7\n")
    os.chmod(path, 0o640)
    os.utime(path, (1e9, 1e9))
    before = picture("/etc")
    tune(sluice, "--only", "syn-backlog", "--persist", "/")
    if not differences(before, picture("/etc")):
        raise SystemExit("nothing was written over a file that was there")
    tune(sluice, "--revert")
    if left := differences(before, picture("/etc")):
        raise SystemExit(f"not as it was: {left}")
    os.unlink(path)


def inside(sluice, folder):
    for name in ("/etc", "/var/lib"):
        subprocess.run(["mount", "--bind", folder + name, name], check=True)
    rules = available(sluice)
    if not rules:
        print("skipped: nothing is proposed for this machine")
        return 77
    written = persist_and_revert(sluice, rules)
    if "syn-backlog" in rules:
        own_file_comes_back(sluice)
    print(f"{', '.join(rules)}: {', '.join(written)} written, and all as it was after --revert")
    return 0


def main():
    if len(sys.argv) == 4 and sys.argv[2] == "inside":
        return inside(sys.argv[1], sys.argv[3])
    sluice = os.path.abspath(sys.argv[1])
    share = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]
    probe = subprocess.run([*share, "mount", "--bind", "/tmp", "/mnt"], capture_output=True, check=False)
    if probe.returncode != 0:
        print("skipped: no user and mount namespaces here")
        return 77
    folder = tempfile.mkdtemp(prefix="sluice-persist-")
    try:
        copy_of("/etc", folder + "/etc")
        os.makedirs(folder + "/var/lib")
        shutil.copytree(folder + "/etc", folder + "/copy", symlinks=True)
        environment = {**os.environ, "TUNE_COPY": folder + "/copy"}
        return subprocess.run([*share, sys.executable, os.path.abspath(__file__), sluice, "inside", folder],
                              check=False, env=environment, timeout=200).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


sys.exit(main())
