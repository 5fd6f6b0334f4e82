"""A Debian root with nothing but the essential packages and what one package depends on, made of the files that
are installed here: what debootstrap would make, without a network. A dependency that is not named is not there."""
import os
import shutil
import subprocess
from pathlib import Path

DPKG = Path("/var/lib/dpkg")
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into /usr


def fields(paragraph):
    """{name: value} of a control paragraph; the first lines of folded ones are enough here."""
    rows = (line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] not in " \t")
    return {name: value for name, value in rows}


def installed():
    """{name: (fields, paragraph)} of what is installed, of this machine's architecture or of all."""
    native = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    out = {}
    for paragraph in (DPKG / "status").read_text().split("\n\n"):
        row = fields(paragraph)
        if row.get("Status", "").endswith(" installed") and row["Architecture"] in (native, "all"):
            out[row["Package"]] = (row, paragraph)
    return out


def bare(dependency):
    """'libc6:any (>= 2.34) [amd64]' is libc6."""
    return dependency.split("(")[0].split("[")[0].split(":")[0].strip()


def closure(wanted, have):
    """Names of the packages that are needed for that Depends field, and the essential ones."""
    provided = {}
    for name, (row, _) in have.items():
        for virtual in row.get("Provides", "").split(","):
            provided.setdefault(bare(virtual), name)
    names, owed = set(), [name for name, (row, _) in have.items() if row.get("Essential") == "yes"]
    owed += split(wanted, have, provided)
    while owed:
        name = owed.pop()
        if name not in names:
            names.add(name)
            row = have[name][0]
            owed += split(", ".join(row.get(kind, "") for kind in ("Pre-Depends", "Depends")), have, provided)
    return names


def split(wanted, have, provided):
    """Of alternatives the first that is here."""
    out = []
    for group in filter(str.strip, wanted.split(",")):
        here = [provided.get(bare(one), bare(one)) for one in group.split("|")]
        here = [name for name in here if name in have]
        assert here, f"nothing installed here gives {group.strip()}"
        out.append(here[0])
    return out


def copy_files(names, have, root):
    paths = []
    for name in sorted(names):
        listing = DPKG / f"info/{name}.list"
        if not listing.exists():
            listing = DPKG / f"info/{name}:{have[name][0]['Architecture']}.list"
        paths += listing.read_text().splitlines()
        for part in listing.parent.glob(f"{listing.name.removesuffix('.list')}.*"):
            shutil.copy2(part, root / "var/lib/dpkg/info" / part.name)
    # Documents and translations are of no use here, and many.
    kept = {under_usr(p[1:]) for p in paths
            if p != "/." and not p.startswith(("/usr/share/doc/", "/usr/share/locale/", "/usr/share/man/"))}
    there = "\n".join(sorted(p for p in kept if os.path.lexists(f"/{p}") and p not in MERGED))
    with subprocess.Popen(["tar", "-C", "/", "-c", "--no-recursion", "-T", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as pack:
        unpack = subprocess.Popen(["tar", "-C", root, "-xp"], stdin=pack.stdout)
        pack.stdin.write(there)
        pack.stdin.close()
        assert unpack.wait() == 0 and pack.wait() == 0


def under_usr(path):
    """Where a path of a package lies when /bin and the like are links."""
    top = path.split("/", 1)[0]
    return f"usr/{path}" if top != path and os.path.islink(f"/{top}") and top in MERGED else path


def make(root, wanted):
    """`root` is an empty folder; `wanted` a Depends field. Gives the names of the packages in it."""
    have = installed()
    names = closure(wanted, have)
    for name in MERGED:
        if os.path.islink(f"/{name}"):
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(f"usr/{name}")
    for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/log", "dev", "proc", "tmp",
                   "etc", "run"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    copy_files(names, have, root)
    for file in ("format", "arch"):
        if (DPKG / "info" / file).exists():
            shutil.copy2(DPKG / "info" / file, root / "var/lib/dpkg/info" / file)
    (root / "var/lib/dpkg/status").write_text("\n\n".join(have[name][1] for name in sorted(names)) + "\n\n")
    for file in ("passwd", "group"):
        shutil.copy2(f"/usr/share/base-passwd/{file}.master", root / "etc" / file)
    root.chmod(0o755)
    (root / "tmp").chmod(0o1777)
    for device, numbers in (("null", ("1", "3")), ("urandom", ("1", "9"))):
        subprocess.run(["mknod", "-m", "666", root / "dev" / device, "c", *numbers], check=True)
    for name in ("awk",):  # what update-alternatives links
        (root / "usr/bin" / name).symlink_to(Path(os.path.realpath(f"/usr/bin/{name}")).name)
    subprocess.run(["ldconfig", "-r", root], check=True)
    return names
