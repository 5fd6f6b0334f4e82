"""The command line: what it prints, how it ends (contract 1 and 2)."""
import base64
import json
import re
import subprocess

import pytest

from fake_telnyx import Call, now
from harness import BINARY, FIXTURES, ROOT, Signer, environment, sidetone

COMMANDS = ("serve", "replay", "analyze", "calls", "outbox", "options", "check")
SECRET = "pr1vate-thing"


def expect(done, status, *words, out=None):
    assert done.returncode == status, (done.stdout, done.stderr)
    for word in words:
        assert word in done.stderr, done.stderr
    if out is not None:
        assert done.stdout == out
    return done


# ---- asking for help


def test_version():
    done = expect(sidetone("--version"), 0)
    assert re.fullmatch(r"sidetone \d+\.\d+\.\d+\n", done.stdout) and done.stderr == ""


@pytest.mark.parametrize("word", ("--help", "-h"))
def test_help(word):
    done = expect(sidetone(word), 0)
    assert done.stderr == "" and done.stdout.startswith("usage: sidetone ")
    for command in COMMANDS:
        assert f"sidetone {command}" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command):
    done = expect(sidetone(command, "--help"), 0)
    assert done.stdout.startswith(f"usage: sidetone {command}") and done.stderr == ""


# ---- wrong usage


def test_no_command():
    expect(sidetone(), 2, "usage: sidetone ", out="")


def test_an_unknown_command():
    expect(sidetone("launch"), 2, "launch", "usage: sidetone ", out="")


@pytest.mark.parametrize("words", (
    ("serve", "--loud"), ("serve", "now"), ("serve", "-o"), ("replay", "--loud", "x"), ("analyze", "--loud", "x"),
    ("calls", "--loud"), ("calls", "one", "two"), ("options", "all"), ("check", "it"), ("check", "--loud"),
    ("replay",), ("analyze",), ("analyze", "a", "b", "c"), ("replay", "--speed", "0", "--to", "http://127.0.0.1:1", "x"),
    ("replay", "--speed", "fast", "--to", "http://127.0.0.1:1", "x"), ("replay", "--fresh", "x"),
    ("replay", "--speed", "1", "x"), ("replay", "--sign-key", "k", "x"), ("replay", "--to", "ftp://127.0.0.1", "x"),
    ("replay", "--to", "http://127.0.0.1:1", "--expect", "e", "x"), ("analyze", "--labels", "x"),
    ("analyze", "--duration-ms", "1000", "x"), ("analyze", "--labels", "x", "--duration-ms", "soon"),
    ("analyze", "--labels", "x", "--duration-ms", "0"), ("analyze", "--labels", "x", "--duration-ms", "9", "a.wav"),
))
def test_wrong_usage_is_2_and_says_where_to_look(words):
    done = expect(sidetone(*words), 2, f"sidetone {words[0]}: ", f"try: sidetone {words[0]} --help", out="")
    assert len(done.stderr) < 2000


@pytest.mark.parametrize("command", ("serve", "replay", "analyze", "calls", "check"))
def test_a_wrong_option_is_named_without_what_it_holds(command):
    done = expect(sidetone(command, f"--tokn={SECRET}"), 2, f"sidetone {command}: --tokn is not an option", "-o", out="")
    assert SECRET not in done.stderr
    expect(sidetone(command, "-q"), 2, f"sidetone {command}: -q is not an option")
    expect(sidetone(command, "-c"), 2, f"sidetone {command}: -c needs a value")


def test_what_goes_not_together():
    expect(sidetone("analyze", "--frames", "--segments", "x"), 2, "--frames or --segments, once")
    expect(sidetone("analyze", "--frames=yes", "x"), 2, "--frames takes no value")
    expect(sidetone("analyze", "--duration-ms", "1000", "x"), 2, "--labels")
    labels = ("analyze", "--labels", FIXTURES / "demo/labels.csv", "--duration-ms", "40000")
    expect(sidetone(*labels, "--codec", "111=opus/48000"), 2, "--codec with a capture, not with --labels", out="")
    expect(sidetone(*labels, "--frames"), 2, "--frames goes with audio", out="")
    expect(sidetone(*labels, "x"), 2, "no audio or capture", out="")


@pytest.mark.parametrize("words", (("options",), ("check",), ("replay", FIXTURES / "busy"),
                                   ("analyze", "--labels", FIXTURES / "demo/labels.csv", "--duration-ms", "40000")))
def test_results_that_cannot_be_written_are_1(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run([BINARY, *words], stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), timeout=60)
    assert done.returncode == 1 and "standard output" in done.stderr


# ---- configuration

WRONG = {
    "a value": ("[telnyx]\n\ninsecure = maybe\n", ":3: ", "telnyx.insecure", '"maybe"', "yes"),
    "a number": ("[telnyx]\nsignature_tolerance_s = 0\n", ":2: ", "telnyx.signature_tolerance_s", '"0"', "1 to 86400"),
    "a word": ("[log]\nlevel = loud\n", ":2: ", "log.level", '"loud"', "debug"),
    "an address": ("[listen]\npublic = here\n", ":2: ", "listen.public", '"here"', "HOST:PORT"),
    "a key": ("[telnyx]\npublic_key = abc\n", ":2: ", "telnyx.public_key", '"abc"', "base64 of 32 bytes"),
    "an unknown key": ("[log]\nlevel = info\ncolour = red\n", ":3: ", "log.colour", "level, format, numbers"),
    "an unknown section": ("[logs]\nlevel = info\n", ":1: ", "logs", "log"),
    "a key twice": ("[log]\nlevel = info\nformat = json\nlevel = warn\n", ":4: ", "log.level", "line 2"),
    "no section": ("level = info\n", ":1: ", "level"),
    "no value": ("[log]\nlevel\n", ":2: "),
    "a line too long": ("[log]\nlevel = " + "x" * 5000 + "\n", ":2: ", "4096"),
    "a continuation": ("[telnyx]\npublic_key =\n  AAAA\n", ":3: "),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_configuration_is_2_with_file_line_key_value_and_what_is_allowed(tmp_path, kind):
    text, *words = WRONG[kind]
    file = tmp_path / "sidetone.conf"
    file.write_text(text)
    words[0] = f"{file}{words[0]}"
    for command in ("check", "serve", "calls"):
        expect(sidetone(command, "-c", file), 2, f"sidetone {command}: ", *words, out="")


@pytest.mark.parametrize("option, words", (
    ("log.level=loud", ("-o: log.level", '"loud"', "debug")), ("log.colour=red", ("log.colour", "level, format")),
    ("level=info", ("section.key=value",)), ("log.level", ("section.key=value",)), ("", ("section.key=value",)),
))
def test_wrong_overrides(option, words):
    expect(sidetone("check", "-o", option), 2, *words)


def test_a_file_that_is_not_there(tmp_path):
    expect(sidetone("check", "-c", tmp_path / "none.conf"), 2, "none.conf", "No such file")


def test_wrong_environment():
    expect(sidetone("check", env=environment(SIDETONE_LOG_LEVEL="loud")), 2, "SIDETONE_LOG_LEVEL", "log.level", '"loud"')
    expect(sidetone("check", env=environment(TELNYX_PUBLIC_KEY="abc")), 2, "TELNYX_PUBLIC_KEY", "telnyx.public_key")


def test_precedence(tmp_path):
    """default < file < environment < -o, seen by which of them is complained about."""
    file = tmp_path / "sidetone.conf"
    file.write_text("[log]\nlevel = info\n[admin]\ntoken = abc\n[listen]\nadmin = 0.0.0.0:1\n")
    expect(sidetone("check", "-c", file), 0)
    expect(sidetone("check", "-o", "listen.admin=0.0.0.0:1"), 2, "admin.token")
    other = environment(SIDETONE_LISTEN_ADMIN="10.0.0.1:2")
    expect(sidetone("check", env=other), 2, '"10.0.0.1:2"')
    expect(sidetone("check", "-o", "listen.admin=127.0.0.1:2", env=other), 0)


def test_check_says_so_when_it_is_good():
    done = expect(sidetone("check"), 0)
    assert "good" in done.stdout and done.stderr == ""
    expect(sidetone("check", "-c", ROOT / "config/sidetone.conf"), 0)


SECRETS = ("telnyx.stream_token", "telnyx.api_key", "mongo.uri", "redis.url", "postgres.url", "admin.token")


@pytest.mark.parametrize("key", SECRETS)
@pytest.mark.parametrize("way", ("-o", "file", "environment"))
def test_a_secret_is_never_printed(tmp_path, key, way):
    value = f"{SECRET} with a blank"
    section, name = key.split(".")
    file = tmp_path / "sidetone.conf"
    file.write_text(f"[{section}]\n{name} = {value}\n")
    done = {"-o": lambda: sidetone("check", "-o", f"{key}={value}"), "file": lambda: sidetone("check", "-c", file),
            "environment": lambda: sidetone("check", env=environment(**{f"SIDETONE_{section}_{name}".upper(): value}))}[way]()
    assert key in done.stderr and SECRET not in done.stderr + done.stdout
    assert done.returncode == 2 or way == "environment"


def test_a_secret_from_a_file_and_from_credentials(tmp_path):
    (tmp_path / "token").write_text(SECRET + "\n")
    (tmp_path / "admin.token").write_text("bad token\n")
    expect(sidetone("check", "-o", f"admin.token_file={tmp_path / 'token'}", "-o", "listen.admin=0.0.0.0:0"), 0)
    done = expect(sidetone("check", env=environment(CREDENTIALS_DIRECTORY=str(tmp_path))), 2, "admin.token")
    assert "bad token" not in done.stderr
    expect(sidetone("check", "-o", f"admin.token_file={tmp_path / 'none'}"), 2, "admin.token_file", "none")


# ---- options


def test_options_are_the_sample_file():
    rows = [line.split("\t") for line in expect(sidetone("options"), 0).stdout.splitlines()]
    assert all(len(row) == 5 for row in rows)
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", row[0]) and row[1] and row[4] for row in rows)
    listed = {row[0]: row[2] for row in rows}
    assert len(listed) == len(rows)
    sample, section = {}, None
    for line in (ROOT / "config/sidetone.conf").read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif match := re.fullmatch(r"#([a-z_]+) =(?: (.*))?", line):
            sample[f"{section}.{match.group(1)}"] = match.group(2) or ""
    assert sample == listed
    for key in ("listen.public", "telnyx.public_key", "telnyx.stream_token_file", "store.dir", "log.numbers"):
        assert key in listed
    assert listed["listen.public"] == "127.0.0.1:8480"


# ---- calls


def test_calls_without_a_store(tmp_path):
    expect(sidetone("calls", "-o", f"store.dir={tmp_path}"), 1, str(tmp_path), "no store yet", out="")
    (tmp_path / "file").write_text("")
    expect(sidetone("calls", "-o", f"store.dir={tmp_path / 'file'}"), 1, "store.dir: ", "Not a directory", out="")


def test_calls_list_and_show(agent):
    head = "callLogId\tstatus\tdirection\tfrom\tto\tinitiatedAt\ttotal_s\tmos\n"
    where = ("-o", f"store.dir={agent.store}")
    expect(sidetone("calls", *where), 0, out=head)
    call = Call(agent)
    call.tell("call.initiated", direction="outgoing", start_time="2026-09-14T08:15:00.000000Z")
    call.hangup("user_busy", start_time="2026-09-14T08:15:00.000000Z", end_time="2026-09-14T08:15:17.400000Z",
                occurred_at=now())
    document = agent.complete(call.leg)
    agent.stop()
    rows = expect(sidetone("calls", *where), 0).stdout.splitlines()
    assert rows[1:] == [f"{call.id}\tbusy\toutbound\t+15550100001\t+15550100002\t2026-09-14T08:15:00.000Z\t17\t"]
    shown = expect(sidetone("calls", *where, call.id), 0).stdout
    assert json.loads(shown) == document and "\n  " in shown
    expect(sidetone("calls", *where, "CALL_0_nobody"), 1, "CALL_0_nobody", out="")


# ---- replay, offline

BUSY, LEGS = FIXTURES / "busy", FIXTURES / "two-legs"


def test_replay_prints_a_line_a_call_and_always_the_same():
    first = expect(sidetone("replay", LEGS, BUSY), 0).stdout
    documents = [json.loads(line) for line in first.splitlines()]
    assert len(documents) == 3
    for document in documents:
        assert document["metadata"]["sidetone"]["agents"] == ["replay"]
        assert not {"_id", "createdAt", "updatedAt"} & set(document) and "media" not in document["metadata"]["sidetone"]
    assert sidetone("replay", LEGS, BUSY).stdout == first
    assert sidetone("replay", LEGS / "events.jsonl").stdout == "".join(first.splitlines(True)[:2])


def test_expect_equal():
    done = expect(sidetone("replay", "--expect", LEGS / "expect.jsonl", LEGS), 0)
    assert done.stdout == ""


def test_expect_different_missing_and_extra(tmp_path):
    lines = (LEGS / "expect.jsonl").read_text().splitlines()
    changed = json.loads(lines[0])
    changed["duration"]["total"] += 1
    changed["tags"].append("made up")
    file = tmp_path / "expect.jsonl"

    def expecting(*wanted):
        file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in wanted) + "\n")
        return sidetone("replay", "--expect", file, LEGS)

    out = expect(expecting(changed, lines[1]), 1).stdout
    got = json.loads(lines[0])["duration"]["total"]
    assert "duration.total" in out and str(got) in out and str(got + 1) in out and "tags[0]" in out
    legs = [json.loads(line)["telnyx"]["callControlId"] for line in lines]
    assert legs[1] in expect(expecting(lines[0]), 1).stdout
    out = expect(expecting(*lines, (BUSY / "expect.jsonl").read_text().strip()), 1).stdout
    assert "FIXTURE-busy" in out
    other = json.loads(lines[0])
    other["metadata"]["sidetone"].update(version="9.9.9", revision=12345, agents=["somebody"])
    expect(expecting(lines[1], other), 0)


@pytest.mark.parametrize("text, words", (
    ("", ()), ("not a fixture\n", (":1",)), ('{"sidetone_fixture":2}\n', (":1",)),
    ('{"sidetone_fixture":1,"about":"a","source":"b","licence":"c"}\n{"t":1}\n', (":2",)),
    ('{"sidetone_fixture":1,"about":"a","source":"b","licence":"c"}\n{"t":1,"ws":"a","audio":{"file":"none.wav",'
     '"encoding":"PCMU","frame_ms":20}}\n', ("none.wav",)),
))
def test_what_is_no_fixture_is_1(tmp_path, text, words):
    file = tmp_path / "some.jsonl"
    file.write_text(text)
    expect(sidetone("replay", file), 1, "some.jsonl" if not words or words[0].startswith(":") else words[0], *words, out="")


def test_a_fixture_that_is_not_there(tmp_path):
    expect(sidetone("replay", tmp_path / "none"), 1, "none", out="")


def test_a_sign_key_that_is_none(tmp_path):
    key = tmp_path / "key"
    key.write_text(base64.b64encode(b"short").decode())
    expect(sidetone("replay", "--to", "http://127.0.0.1:9", "--sign-key", key, BUSY), 1, str(key), "32")
    key.write_text(Signer().seed)
    expect(sidetone("replay", "--to", "http://127.0.0.1:9", "--sign-key", tmp_path / "none", BUSY), 1, "none")
