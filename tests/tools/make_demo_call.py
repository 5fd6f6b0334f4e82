#!/usr/bin/python3
"""Cuts the demo's call and labels it. Needs Debian's python3-numpy; not run by any test.

  make_demo_call.py SHARED OUT_FOLDER

Cut: 40 s from 40.0 s on of dual-track-calls/Auto_Repairs_40 (Apache 2.0), caller left (inbound), agent
right (outbound), as mu-law WAV. Labels: by level alone, nothing of sidetone's detector: both tracks were
recorded apart with floors below -55 dBov, so a 10 ms cell is speech when the mean level of the 50 ms
around it is above -45 dBov; then the rules' own bridge (gaps under 200 ms) and discard (runs under 100 ms)."""
import math, struct, sys, wave
import numpy as np

RATE, FROM_S, LENGTH_S, LEVEL_DBOV = 8000, 40, 40, -45.0


def read(path):
    with wave.open(path) as w:
        assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (RATE, 1, 2)
        w.setpos(FROM_S * RATE)
        return np.frombuffer(w.readframes(LENGTH_S * RATE), "<i2")


def mu_law(x):
    """G.711 mu-law of 16-bit samples, by segment and step (ITU-T G.711)."""
    x = x.astype(np.int32)
    magnitude = np.minimum(np.where(x < 0, -x - 1, x) >> 2, 8158) + 33
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 15)
    return (~np.where(x < 0, code | 0x80, code) & 0xFF).astype(np.uint8)


def write_ulaw(path, left, right):
    data = np.column_stack((mu_law(left), mu_law(right))).tobytes()
    fmt = struct.pack("<HHIIHHH", 7, 2, RATE, RATE * 2, 2, 8, 0)
    fact = struct.pack("<I", len(left))
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"fact" + struct.pack("<I", 4) + fact
    body += b"data" + struct.pack("<I", len(data)) + data
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", len(body)) + body)


def segments(x):
    cells = (x.astype(np.float64) / 32768).reshape(-1, 80)
    power = np.convolve((cells ** 2).mean(axis=1), np.ones(5) / 5, mode="same")
    speech = 10 * np.log10(power + 1e-12) > LEVEL_DBOV
    edges = np.flatnonzero(np.diff(np.concatenate(([0], speech.astype(int), [0]))))
    runs = [[int(a) * 10, int(b) * 10] for a, b in zip(edges[::2], edges[1::2])]
    joined = []
    for run in runs:
        if joined and run[0] - joined[-1][1] < 200:
            joined[-1][1] = run[1]
        else:
            joined.append(run)
    return [r for r in joined if r[1] - r[0] >= 100]


def main(shared, out):
    stem = shared + "/data/audio/dual-track-calls/Auto_Repairs_40_UTC_"
    caller, agent = read(stem + "caller.wav"), read(stem + "agent.wav")
    write_ulaw(out + "/call.wav", caller, agent)
    with open(out + "/labels.csv", "w") as f:
        f.write("track,start_ms,end_ms,kind\n")
        for track, sound in (("inbound", caller), ("outbound", agent)):
            for start, end in segments(sound):
                f.write(f"{track},{start},{end},speech\n")


main(*sys.argv[1:])
