"""unit_filter.py UNIT COMMAND...: runs a command under what seccomp does of a unit where no systemd does it:
SystemCallFilter, RestrictAddressFamilies and MemoryDenyWriteExecute (as systemd.exec(5) describes them)."""
import errno
import os
import subprocess
import sys

import seccomp

PROT_WRITE, PROT_EXEC = 2, 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}


def settings(path):
    """[(name, value)] of the unit, in order."""
    with open(path, encoding="utf-8") as unit:
        rows = [line.strip() for line in unit]
    return [tuple(row.split("=", 1)) for row in rows if "=" in row and not row.startswith("#")]


def members(name):
    """The calls of a set of systemd's, sets within it too."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    words = [line.strip() for line in text.splitlines()[1:]]
    return set().union(*(members(word) for word in words if word and not word.startswith("#")))


def allowed_calls(rows):
    """A list that does not begin with ~ allows, one that does takes away; @default is always in."""
    calls = members("@default")
    for name, value in rows:
        if name == "SystemCallFilter" and value.startswith("~"):
            calls -= set().union(*map(members, value[1:].split()))
        elif name == "SystemCallFilter":
            calls |= set().union(*map(members, value.split()))
    return calls


def allow(rules, calls):
    for call in sorted(calls):
        try:
            number = seccomp.resolve_syscall(seccomp.Arch(), call)
        except (RuntimeError, ValueError):
            continue
        if number >= 0 and call not in ("socket", "mmap", "mprotect"):
            rules.add_rule(seccomp.ALLOW, call)


def load(unit):
    rows = settings(unit)
    rules = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    allow(rules, allowed_calls(rows))
    for family in dict(rows)["RestrictAddressFamilies"].split():
        rules.add_rule(seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, FAMILIES[family]))
    assert dict(rows)["MemoryDenyWriteExecute"] == "yes"
    for protection in (0, PROT_WRITE, PROT_EXEC):  # never both
        rules.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, PROT_WRITE | PROT_EXEC, protection))
    rules.add_rule(seccomp.ALLOW, "mprotect", seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
    rules.load()


if __name__ == "__main__":
    load(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
