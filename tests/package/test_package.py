"""build/sidetone_*.deb: what is in it, what lintian says, and its life in a small Debian root (contract 1)."""
import gzip
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_root

TOP = Path(__file__).resolve().parents[2]
CONFIG = "etc/sidetone/sidetone.conf"
DEADLINE_S = 20


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="session")
def deb():
    found = list((TOP / "build").glob("sidetone_*.deb"))
    assert len(found) == 1, "make deb first"
    return found[0]


def field(deb, name):
    return run("dpkg-deb", "-f", deb, name).strip()


@pytest.fixture(scope="session")
def root(deb, tmp_path_factory):
    """Before anything of ours is in it."""
    folder = tmp_path_factory.mktemp("root")
    small_root.make(folder, field(deb, "Depends"))
    yield folder
    run("rm", "-rf", "--one-file-system", folder)


class Root:
    def __init__(self, folder):
        self.folder = folder

    def inside(self, *words, user="root"):
        """The command in there, with a /proc that is gone when it ends."""
        into = 'mount -t proc proc "$0/proc" && exec chroot --userspec="$1" "$0" "${@:2}"'
        return ["unshare", "--mount", "bash", "-c", into, str(self.folder), user, *map(str, words)]

    def run(self, *words):
        return run(*self.inside(*words),
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"})

    def install(self, deb):
        run("cp", deb, self.folder / "tmp/one.deb")
        return self.run("dpkg", "--force-confdef", "--force-confold", "-i", "/tmp/one.deb")

    def owner(self, path):
        return self.run("stat", "-c", "%a %U:%G", f"/{path}").strip()


@pytest.fixture
def debian(root, deb):
    """The package is installed, fresh, and is gone behind the test."""
    one = Root(root)
    one.install(deb)
    yield one
    one.run("dpkg", "--purge", "sidetone")


def test_names_of_the_contract(deb):
    version = run(TOP / "build/sidetone", "--version").split()[1]
    assert deb.name == f"sidetone_{version}_{run('dpkg', '--print-architecture').strip()}.deb"
    files = {line.split()[-1].lstrip(".") for line in run("dpkg-deb", "-c", deb).splitlines()}
    assert {"/usr/bin/sidetone", "/lib/systemd/system/sidetone.service", "/etc/sidetone/sidetone.conf",
            "/usr/lib/sysusers.d/sidetone.conf", "/usr/lib/tmpfiles.d/sidetone.conf"} <= files
    assert run("dpkg-deb", "-I", deb, "conffiles").split() == ["/etc/sidetone/sidetone.conf"]


def test_lintian_accepts_it(deb):
    out = run("lintian", "--fail-on", "error,warning", "--allow-root", "--show-overrides", deb)
    assert not [line for line in out.splitlines() if line[:2] in ("E:", "W:", "O:")]


def test_what_is_installed(debian):
    assert debian.run("sidetone", "--version").startswith("sidetone ")
    debian.run("sidetone", "check", "-c", f"/{CONFIG}")
    user = debian.run("getent", "passwd", "sidetone").strip().split(":")
    assert 0 < int(user[2]) < 1000 and user[6].endswith("nologin")
    assert debian.owner("etc/sidetone") == "750 root:sidetone"
    assert debian.owner(CONFIG) == "640 root:sidetone"
    assert (debian.folder / CONFIG).read_bytes() == (TOP / "config/sidetone.conf").read_bytes()
    link = debian.folder / "etc/systemd/system/multi-user.target.wants/sidetone.service"
    assert os.readlink(link) == "/lib/systemd/system/sidetone.service"
    assert debian.run("dpkg", "--verify", "sidetone") == ""
    manual = gzip.decompress((debian.folder / "usr/share/man/man1/sidetone.1.gz").read_bytes()).decode()
    commands = set(re.findall(r"sidetone ([a-z]+)", debian.run("sidetone", "--help")))
    assert "serve" in commands
    assert {name for name in commands if f".B sidetone {name}\n" not in manual} == set()


def test_the_agent_runs_as_its_user_with_what_is_depended_on(debian):
    """An event library that is loaded by name is missing only when the loop is made."""
    debian.run("install", "-d", "-m", "0700", "-o", "sidetone", "-g", "sidetone", "/var/lib/sidetone")
    words = debian.inside("/usr/bin/sidetone", "serve", "-c", f"/{CONFIG}", "-o", "store.dir=/var/lib/sidetone", "-o",
                          "listen.public=127.0.0.1:0", "-o", "listen.admin=127.0.0.1:0", user="sidetone:sidetone")
    log = debian.folder / "tmp/log"
    with open(log, "wb") as out:
        agent = subprocess.Popen(words, stderr=out)
    try:
        end = time.monotonic() + DEADLINE_S
        while "ready public=" not in log.read_text():
            assert agent.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.01)
        agent.terminate()
        assert agent.wait(DEADLINE_S) == 0
    finally:
        if agent.poll() is None:
            agent.kill()
            agent.wait()
    assert debian.owner("var/lib/sidetone") == "700 sidetone:sidetone"


def newer(deb, folder):
    """The same package as its next version would be, with another sample."""
    tree = folder / "tree"
    run("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {field(deb, 'Version')}\n", "Version: 99\n"))
    (tree / CONFIG).write_text((tree / CONFIG).read_text() + "# of the next version\n")
    run("dpkg-deb", "--root-owner-group", "-b", tree, folder / "newer.deb")
    return folder / "newer.deb"


def test_an_upgrade_keeps_what_was_changed(debian, deb, tmp_path):
    config = debian.folder / CONFIG
    config.write_text(config.read_text() + "[log]\nlevel = debug\n")
    debian.install(newer(deb, tmp_path))
    assert debian.run("dpkg-query", "-W", "-f", "${Version}", "sidetone") == "99"
    assert config.read_text().endswith("[log]\nlevel = debug\n")
    assert debian.owner(CONFIG) == "640 root:sidetone"
    assert (debian.folder / f"{CONFIG}.dpkg-dist").read_text().endswith("# of the next version\n")


def test_an_upgrade_brings_the_new_sample_where_nothing_was_changed(debian, deb, tmp_path):
    debian.install(newer(deb, tmp_path))
    assert (debian.folder / CONFIG).read_text().endswith("# of the next version\n")
    assert debian.owner(CONFIG) == "640 root:sidetone"


def test_a_removal_keeps_configuration_and_calls_and_a_purge_does_not(debian):
    kept = [CONFIG, "var/lib/sidetone/calls.db"]
    debian.run("install", "-D", "/dev/null", "/var/lib/sidetone/calls.db")
    debian.run("dpkg", "--remove", "sidetone")
    assert all((debian.folder / path).exists() for path in kept)
    assert not (debian.folder / "usr/bin/sidetone").exists()
    debian.run("dpkg", "--purge", "sidetone")
    assert not any((debian.folder / path).exists() for path in ("etc/sidetone", "var/lib/sidetone"))
    assert not list((debian.folder / "etc/systemd/system").rglob("sidetone*"))
    assert debian.run("getent", "passwd", "sidetone")  # what it owned elsewhere must not become another's


def test_make_install(tmp_path):
    run("make", "-C", TOP, "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/side")
    for path in ("opt/side/bin/sidetone", "opt/side/lib/sysusers.d/sidetone.conf", "opt/side/lib/tmpfiles.d/sidetone.conf",
                 "opt/side/share/man/man1/sidetone.1", CONFIG):
        assert (tmp_path / path).is_file(), path
    unit = (tmp_path / "opt/side/lib/systemd/system/sidetone.service").read_text()
    assert "\nExecStart=/opt/side/bin/sidetone serve " in unit
    (tmp_path / CONFIG).write_text("[log]\nlevel = debug\n")
    run("make", "-C", TOP, "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/side")
    assert (tmp_path / CONFIG).read_text() == "[log]\nlevel = debug\n"
