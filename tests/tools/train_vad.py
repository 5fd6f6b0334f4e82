"""Trains the voice detector and writes dsp/vad_weights.c.

    train_vad.py --corpus corpus.npz --cross-validate
    train_vad.py --corpus corpus.npz --export

The corpus comes from vad_corpus.py. Features come from the C front end itself (compiled here, called
through ctypes), so that what is trained is what runs. numpy and scipy only; the seed is fixed, and
the same corpus gives the same weights with the same numpy.
"""
import argparse
import ctypes
import os
import subprocess
import tempfile
import zlib

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

SEED = 20260711
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
FRAME, RATE = 80, 8000
FEATURES, HIDDEN, LOOK_AHEAD = 56, 24, 9
INSTANT_HIDDEN = 8
FOLDS = 5
TRACK_S = 40


# ---- sound ---------------------------------------------------------------------------------------

def mulaw(x):
    """G.711 mu-law there and back, 16-bit scale."""
    s = np.clip(np.round(x), -32635, 32635)
    mag = np.abs(s).astype(np.int64) + 132
    exponent = np.floor(np.log2(mag)).astype(np.int64)
    mantissa = (mag >> (exponent - 4)) & 0xF
    out = ((2 * mantissa + 33) << (exponent - 5 + 0)) - 132
    return np.where(s < 0, -out, out).astype(np.int16)


def alaw(x):
    s = np.clip(np.round(x), -32768, 32767).astype(np.int64)
    mag = np.where(s >= 0, s, -s - 1) >> 4
    exponent = np.maximum(np.floor(np.log2(np.maximum(mag, 1))).astype(np.int64) - 4, 0)
    step = np.left_shift(1, exponent)
    out = (mag // step * step * 2 + step) * 8
    return np.where(s >= 0, out, -out).astype(np.int16)


class Front:
    """The C front end: features of each frame of a track."""

    def __init__(self):
        build = tempfile.mkdtemp()
        library = os.path.join(build, 'front.so')
        sources = [os.path.join(ROOT, 'dsp', n) for n in
                   ('vad_features.c', 'vad_tables.c', 'fft.c', 'fft_table.c')]
        subprocess.check_call(['cc', '-std=c11', '-O2', '-ffp-contract=off', '-fno-math-errno', '-shared', '-fPIC',
                               '-I', ROOT, '-o', library] + sources)
        self.frame = ctypes.CDLL(library).vad_front_frame
        self.frame.restype = ctypes.c_bool
        self.frame.argtypes = [ctypes.c_void_p] * 3

    def features(self, pcm):
        frames = len(pcm) // FRAME
        pcm = np.ascontiguousarray(pcm[:frames * FRAME], np.int16)
        state = np.zeros(8192, np.float64)
        out = np.zeros((frames, FEATURES), np.float32)
        sounding = np.zeros(frames, bool)
        for i in range(frames):
            sounding[i] = self.frame(state.ctypes.data, pcm.ctypes.data + 2 * FRAME * i,
                                     out.ctypes.data + 4 * FEATURES * i)
        return out, sounding


def rms(x):
    return np.sqrt(np.mean(x.astype(np.float64)**2)) + 1e-9


def coloured(rng, samples):
    """White, pink-like or hum noise of unit power."""
    x = rng.standard_normal(samples)
    kind = rng.integers(4)
    if kind == 1:
        x = lfilter([1], [1, -rng.uniform(0.5, 0.97)], x)
    elif kind == 2:
        x = lfilter([1, rng.uniform(-0.9, 0.9)], [1], x)
    elif kind == 3:
        t = np.arange(samples) / RATE
        base = rng.choice([50, 60])
        x = 0.3 * x + sum(np.sin(2 * np.pi * base * k * t + k) / k for k in range(1, 8))
    return x / rms(x)


def tones(rng, samples):
    """Call-progress-like: one to three sines, steady or in cadence, or dialled digits."""
    t = np.arange(samples) / RATE
    x = np.zeros(samples)
    if rng.random() < 0.3:
        at = 0
        while at < samples:
            on, off = rng.integers(400, 2000), rng.integers(400, 3000)
            pair = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477, 1633])
            x[at:at + on] = sum(np.sin(2 * np.pi * f * t[at:at + on]) for f in pair)
            at += on + off
    else:
        for f in rng.uniform(300, 2200, rng.integers(1, 4)):
            x += np.sin(2 * np.pi * f * t)
        if rng.random() < 0.7:
            period, share = rng.uniform(0.2, 4), rng.uniform(0.2, 0.7)
            x *= (t % period) < period * share
    return x / rms(x)


def idle(rng, samples):
    """A coder without a signal: a step or two around zero, rare or often."""
    step = rng.choice([8, 16])
    return step * rng.integers(-1, 2, samples) * (rng.random(samples) < 10**rng.uniform(-3, 0))


# ---- corpus --------------------------------------------------------------------------------------

class Clip:
    pass


def read_corpus(path):
    z = dict(np.load(path))
    clips, s0, f0 = [], 0, 0
    for i, name in enumerate(z['names']):
        c = Clip()
        c.name, c.group, c.kind = str(name), str(z['groups'][i]), str(z['kinds'][i])
        s1, f1 = int(z['sound_ends'][i]), int(z['frame_ends'][i])
        c.sound, c.soft, c.hard = z['sound'][s0:s1], z['soft'][f0:f1], z['hard'][f0:f1]
        c.labelled = c.hard.size > 0 and c.hard[0] >= 0
        c.fold = zlib.crc32(c.group.encode()) % FOLDS
        c.sound = c.sound[:len(c.soft) * FRAME]
        clips.append(c)
        s0, f0 = s1, f1
    spread_folds(clips)
    return clips


def spread_folds(clips):
    """Groups of the shared folder dealt out in turn, so that every fold has some of each kind."""
    for prefix in ('shared/noise', 'shared/sppas', 'shared/'):
        groups = sorted({c.group for c in clips if c.group.startswith(prefix)})
        if prefix == 'shared/':
            groups = [g for g in groups if not g.startswith(('shared/noise', 'shared/sppas'))]
        for i, g in enumerate(groups):
            for c in clips:
                if c.group == g:
                    c.fold = i % FOLDS


def sharpen(clip):
    """Soft labels with edges where the energy is: the teacher hangs over and starts late."""
    frames = len(clip.soft)
    e = 10 * np.log10(np.mean(clip.sound.astype(np.float64).reshape(frames, FRAME)**2, axis=1) + 1)
    on = clip.soft > 0.5
    if not on.any():
        return clip.soft.copy()
    peak, low = np.percentile(e[on], 95), np.percentile(e, 5)
    quiet = max(peak - 34, low + 6 if low < peak - 25 else 0)
    loud = max(peak - 26, low + 10)
    out = clip.soft.copy()
    change = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    for a, b in zip(change[::2], change[1::2]):
        i = a
        while i < min(b, a + 12) and e[i] < quiet:
            out[i] = 0.04
            i += 1
        if i == a:
            while i > max(0, a - 5) and e[i - 1] > loud:
                i -= 1
                out[i] = 0.9
        i = b
        while i > max(a, b - 15) and e[i - 1] < quiet:
            i -= 1
            out[i] = 0.04
        for j in range(b, min(frames, b + 12)):
            if e[j] < quiet:
                out[j] = min(out[j], 0.04)
    return out


# ---- augmentation --------------------------------------------------------------------------------

class Augment:
    def __init__(self, rng, noises, music):
        self.rng, self.noises, self.music = rng, noises, music

    def stretch(self, clips, samples):
        parts, have = [], 0
        while have < samples:
            c = clips[self.rng.integers(len(clips))]
            x = c.sound.astype(np.float64)
            if len(x) > samples:
                at = self.rng.integers(len(x) - samples)
                x = x[at:at + samples]
            parts.append(x)
            have += len(x)
        return np.concatenate(parts)[:samples]

    def noise(self, samples):
        u = self.rng.random()
        if u < 0.55 and self.noises:
            c = self.noises[self.rng.integers(len(self.noises))]
            x = np.tile(c.sound.astype(np.float64), samples // len(c.sound) + 2)
            at = self.rng.integers(len(c.sound))
            x = x[at:at + samples]
        else:
            x = coloured(self.rng, samples)
        return x / rms(x)

    def room(self, x):
        """A room: exponentially decaying noise after a direct sound."""
        length = int(self.rng.uniform(0.1, 0.5) * RATE)
        decay = np.exp(-6.9 * np.arange(length) / length)
        h = self.rng.standard_normal(length) * decay * self.rng.uniform(0.02, 0.15)
        h[0] = 1
        return fftconvolve(x, h)[:len(x)]

    def line(self, x):
        """Telephone band with random corners."""
        low, high = self.rng.uniform(60, 350), self.rng.uniform(3000, 3850)
        x = sosfilt(butter(2, low / 4000, 'high', output='sos'), x)
        return sosfilt(butter(4, high / 4000, output='sos'), x)

    def finish(self, x, active, level_dbfs=None):
        if level_dbfs is None:
            level_dbfs = self.rng.uniform(-50, -14)
        x = x * 32768 * 10**(level_dbfs / 20) / rms(x[active] if active is not None and active.any() else x)
        return mulaw(x) if self.rng.random() < 0.75 else alaw(x)

    def speech_track(self, clips):
        """One speaker's clips with gaps, made a telephone track; samples, targets, weights."""
        rng = self.rng
        sound, target, have = [], [], 0
        floor = 10**rng.uniform(-0.5, 1.0) if rng.random() < 0.7 else 0.0
        dense = rng.random() < 0.4
        while have < TRACK_S * 100:
            c = clips[rng.integers(len(clips))]
            soft = c.hard * 0.9 + 0.05 if c.labelled else c.sharp
            gap = int(rng.exponential(15 if dense else 80))
            gap = min(gap, 400)
            sound += [c.sound.astype(np.float64), np.zeros(gap * FRAME)]
            target += [soft, np.zeros(gap, np.float32) + 0.02]
            have += len(soft) + gap
        x, y = np.concatenate(sound), np.concatenate(target)
        most = TRACK_S * 100 * 2
        x, y = x[:most * FRAME], y[:most]
        active = np.repeat(y > 0.5, FRAME)
        if floor:
            x = x + floor * rng.standard_normal(len(x))
        if rng.random() < 0.35:
            x = self.room(x)
        if rng.random() < 0.6:
            x = self.line(x)
        if rng.random() < 0.75 and active.any():
            snr = rng.uniform(0, 35)
            if self.music and rng.random() < 0.08:
                n = self.stretch(self.music, len(x))
                n, snr = n / rms(n), max(snr, 8)
            else:
                n = self.noise(len(x))
            x = x + n * rms(x[active]) * 10**(-snr / 20)
        return self.finish(x, active), y

    def negative_track(self):
        rng, samples = self.rng, TRACK_S * RATE
        u = rng.random()
        if u < 0.35 and self.noises:
            x = self.stretch(self.noises, samples)
        elif u < 0.45:
            x = self.noise(samples)
        elif u < 0.5:
            x = coloured(rng, samples) * np.repeat(10**(np.cumsum(rng.uniform(-3, 3, TRACK_S * 2)) % 30 / 20), RATE // 2)
        elif u < 0.85 and self.music:
            x = self.stretch(self.music, samples)
        elif u < 0.95:
            x = tones(rng, samples) + coloured(rng, samples) * 10**rng.uniform(-4, -1)
        else:
            return idle(rng, samples).astype(np.int16), np.zeros(TRACK_S * 100, np.float32)
        if rng.random() < 0.5:
            x = self.line(x)
        if rng.random() < 0.3:
            x = x + coloured(rng, samples) * rms(x) * 10**(-rng.uniform(0, 35) / 20)
        return self.finish(x, None), np.zeros(TRACK_S * 100, np.float32)


# ---- context -------------------------------------------------------------------------------------

SETTLED = ((-1, 1), (2, 4), (5, LOOK_AHEAD), (-6, -2))  # means around the frame that is decided
INSTANT = ((-2, 0), (-8, -3))                           # of the newest frame
SLOW_FRAMES = (20, 60)


def window_mean(f, first, last):
    """Mean over frames t+first .. t+last, the ends repeated as the C side does (zeros before the start)."""
    frames = len(f)
    total = np.concatenate([np.zeros((1, f.shape[1])), np.cumsum(f.astype(np.float64), axis=0)])
    t = np.arange(frames)
    a, b = np.clip(t + first, 0, frames), np.clip(t + last + 1, 0, frames)
    return ((total[b] - total[a]) / (last - first + 1)).astype(np.float32)


def slow_means(f):
    return [lfilter([1.0 / n], [1, 1.0 / n - 1], f, axis=0).astype(np.float32) for n in SLOW_FRAMES]


def context(f):
    """Inputs of both networks for each frame; the end of a track is completed by its last frame."""
    frames = len(f)
    longer = np.concatenate([f, np.repeat(f[-1:], LOOK_AHEAD, axis=0)])
    slow = slow_means(longer)
    settled = [window_mean(longer, a, b)[:frames] for a, b in SETTLED] + [s[LOOK_AHEAD:] for s in slow]
    instant = [window_mean(f, a, b) for a, b in INSTANT] + [s[:frames] for s in slow]
    return np.concatenate(settled, axis=1), np.concatenate(instant, axis=1)


# ---- network -------------------------------------------------------------------------------------

class Network:
    """inputs -> hidden rectified units -> one logit."""

    def __init__(self, rng, inputs, hidden):
        self.w1 = (rng.standard_normal((inputs, hidden)) * np.sqrt(1.0 / inputs)).astype(np.float32)
        self.b1 = np.full(hidden, 0.1, np.float32)
        self.w2 = (rng.standard_normal(hidden) * np.sqrt(1.0 / hidden)).astype(np.float32)
        self.b2 = np.zeros(1, np.float32)

    def logits(self, x):
        return np.maximum((x - self.mean) * self.inverse @ self.w1 + self.b1, 0) @ self.w2 + self.b2

    def train(self, rng, x, y, weight, epochs, decay=3e-5, rate=2e-3, batch=2048):
        self.mean, self.inverse = x.mean(axis=0), 1 / (x.std(axis=0) + 0.05)
        parameters = [self.w1, self.b1, self.w2, self.b2]
        first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
        step, steps = 0, epochs * (len(x) // batch)
        for _ in range(epochs):
            order = rng.permutation(len(x))
            for at in range(0, len(x) - batch + 1, batch):
                rows = order[at:at + batch]
                step += 1
                v = (x[rows] - self.mean) * self.inverse
                h = np.maximum(v @ self.w1 + self.b1, 0)
                z = h @ self.w2 + self.b2
                d = (1 / (1 + np.exp(-z)) - y[rows]) * weight[rows] / batch
                dh = np.outer(d, self.w2) * (h > 0)
                gradients = [v.T @ dh + decay * self.w1, dh.sum(axis=0), h.T @ d + decay * self.w2,
                             np.array([d.sum()])]
                now = rate * 0.5 * (1 + np.cos(np.pi * step / steps)) + 1e-5
                for p, g, m, s in zip(parameters, gradients, first, second):
                    m += 0.1 * (g - m)
                    s += 0.001 * (g * g - s)
                    p -= (now * (m / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8)).astype(np.float32)

    def folded(self):
        """Weights for raw inputs: the normalisation is taken into the first layer."""
        w1 = self.w1 * self.inverse[:, None]
        return w1, self.b1 - (self.mean * self.inverse) @ self.w1, self.w2, self.b2


# ---- training set and decision -------------------------------------------------------------------

def training_set(clips, rng, front, tracks, negatives):
    noises = [c for c in clips if c.kind == 'noise']
    music = [c for c in clips if c.kind == 'music']
    augment = Augment(rng, noises, music)
    groups = {}
    for c in clips:
        if c.kind == 'speech' and c.group != 'shared/music-speech-noise/musanmix':
            groups.setdefault(c.group, []).append(c)
    names = sorted(groups)
    # A speaker counts by the root of what there is of him: many voices matter more than many minutes.
    share = np.array([sum(len(c.soft) for c in groups[n]) for n in names], float)**0.5
    share *= [2.0 if groups[n][0].labelled else 1.0 for n in names]
    xs, xi, y, w = [], [], [], []
    for k in range(tracks + negatives):
        if k < tracks:
            name = names[rng.choice(len(names), p=share / share.sum())]
            pcm, target = augment.speech_track(groups[name])
            weight = 0.5 if name == 'shared/ami-excerpts' else 1.0
        else:
            pcm, target = augment.negative_track()
            weight = 1.0
        f, sounding = front.features(pcm)
        s, i = context(f)
        keep = sounding & (rng.random(len(f)) < 0.5)
        xs.append(s[keep])
        xi.append(i[keep])
        y.append(target[:len(f)][keep])
        w.append(np.full(keep.sum(), weight, np.float32))
    xs, xi, y, w = (np.concatenate(v) for v in (xs, xi, y, w))
    speech = (w * y).sum() / w.sum()
    w = w * np.where(y > 0.5, 0.5 / speech, 0.5 / (1 - speech)).astype(np.float32)
    return xs, xi, y.astype(np.float32), w


def fit(clips, seed, front, tracks, negatives, epochs):
    rng = np.random.default_rng(seed)
    for c in clips:
        if c.kind == 'speech' and not c.labelled:
            c.sharp = sharpen(c)
    xs, xi, y, w = training_set(clips, rng, front, tracks, negatives)
    settled = Network(rng, xs.shape[1], HIDDEN)
    settled.train(rng, xs, y, w, epochs)
    instant = Network(rng, xi.shape[1], INSTANT_HIDDEN)
    instant.train(rng, xi, y, w, max(2, epochs // 2))
    return settled, instant


def decide(z, sounding, ahead=2):
    """Hysteresis on the smoothed logit and onsets moved back, as dsp/vad.c does."""
    padded = np.concatenate([z[:1], z, z[-1:]])
    s = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    out, on = np.zeros(len(z), bool), False
    for t in range(len(z)):
        if on:
            on = s[t] > -0.5
        else:
            reach = s[t:t + ahead + 1]
            on = s[t] > 0 and any(v > 0.5 and (reach[:k] > 0).all() for k, v in enumerate(reach))
        out[t] = on and sounding[t]
        on = on and sounding[t]
    return out, s


def auc(scores, truth):
    order = np.argsort(scores)
    rank = np.empty(len(scores))
    rank[order] = np.arange(1, len(scores) + 1)
    p = truth.sum()
    return (rank[truth].sum() - p * (p + 1) / 2) / (p * (len(truth) - p))


CONDITIONS = (('clean', None, 0), ('noise 15 dB', 15, 0), ('noise 5 dB', 5, 0), ('24 dB fainter', None, -24))


def score(settled, clips, noises, front, rng):
    """Per condition and clip: truth, decision, smoothed logit."""
    out = []
    for c in clips:
        if not (c.labelled or c.kind in ('noise', 'music')):
            continue
        for name, snr, gain in CONDITIONS:
            x = c.sound.astype(np.float64)
            if c.kind != 'speech' and name != 'clean':
                continue
            if snr is not None:
                n = Augment(rng, noises, []).noise(len(x)) if noises else coloured(rng, len(x))
                x = x + n * rms(x[np.repeat(c.hard > 0.5, FRAME)]) * 10**(-snr / 20)
            f, sounding = front.features(mulaw(x * 10**(gain / 20)))
            got, s = decide(settled.logits(context(f)[0]), sounding)
            truth = c.hard > 0.5 if c.labelled else np.zeros(len(f), bool)
            out.append((name, c, truth[:len(f)], got, s))
    return out


def boundaries(truth, got):
    """Delays in ms of starts and ends with 200 ms of labelled silence beside them; bridged ones left out."""
    starts, ends = [], []
    change = np.flatnonzero(np.diff(np.concatenate([[0], truth.astype(int), [0]])))
    for a, b in zip(change[::2], change[1::2]):
        if a >= 20 and not truth[a - 20:a].any():
            near = [t for t in range(a - 20, min(a + 40, len(got))) if got[t]]
            if near and near[0] > a - 20:
                starts.append(10 * (near[0] - a))
        if b + 20 <= len(got) and not truth[b:b + 20].any():
            near = [t for t in range(b - 40, b + 20) if t >= 0 and got[t]]
            if near and near[-1] < b + 19:
                ends.append(10 * (near[-1] + 1 - b))
    return starts, ends


def report(results):
    for name, _, _ in CONDITIONS:
        rows = [r for r in results if r[0] == name and r[1].labelled]
        t, g, s = (np.concatenate([r[i] for r in rows]) for i in (2, 3, 4))
        hit, false = g[t].mean(), g[~t].mean()
        line = '%-14s BA %.3f  hit %.3f  false %.3f  AUC %.3f' % (name, (hit + 1 - false) / 2, hit, false, auc(s, t))
        near = [r for r in rows if not r[1].group.startswith('shared/ami')]
        t, g = (np.concatenate([r[i] for r in near]) for i in (2, 3))
        print(line + '   without AMI BA %.3f' % ((g[t].mean() + 1 - g[~t].mean()) / 2))
    for kind in ('noise', 'music'):
        g = [r[3] for r in results if r[1].kind == kind]
        print('%s called speech %.3f' % (kind, np.concatenate(g).mean()))
    edges = [boundaries(r[2], r[3]) for r in results if r[0] == 'clean' and r[1].labelled and
             not r[1].group.startswith('shared/ami')]
    for name, at in (('onset', 0), ('offset', 1)):
        d = np.concatenate([e[at] for e in edges])
        print('%s delay median %.0f ms, p90 %.0f ms of %d' % (name, np.median(d), np.percentile(d, 90), len(d)))
    sets = {}
    for r in results:
        if r[0] == 'clean':
            sets.setdefault(r[1].group.split('/')[1] if r[1].kind != 'noise' else
                            r[1].group.split('/')[2], []).append(r)
    for key in sorted(sets):
        t, g = (np.concatenate([r[i] for r in sets[key]]) for i in (2, 3))
        print('   %-20s hit %.3f false %.3f' % (key, g[t].mean() if t.any() else 0, g[~t].mean() if (~t).any() else 0))


def cross_validate(clips, front, args):
    results = []
    for fold in range(FOLDS):
        inside = [c for c in clips if not (c.group.startswith('shared/') and c.fold == fold)]
        outside = [c for c in clips if c.group.startswith('shared/') and c.fold == fold]
        settled, _ = fit(inside, args.seed + fold, front, args.tracks, args.negatives, args.epochs)
        noises = [c for c in outside if c.kind == 'noise']
        results += score(settled, outside, noises, front, np.random.default_rng(args.seed))
        print('fold %d done' % fold, flush=True)
    report(results)


# ---- export --------------------------------------------------------------------------------------

def c_array(name, values, shape):
    text = 'const float %s%s = {\n' % (name, shape)
    flat = ['%.8gf' % np.float32(v) if np.float32(v) != int(v) else '%d.0f' % v for v in np.ravel(values)]
    for at in range(0, len(flat), 7):
        text += '  ' + ', '.join(flat[at:at + 7]) + ',\n'
    return text + '};\n'


def export(settled, instant, path):
    text = ('#include "dsp/vad_weights.h"\n\n/* Made by tests/tools/train_vad.py --export, seed %d. Not edited by hand:\n'
            ' * docs/voice-detector.md tells from what and how. */\n' % SEED)
    for name, net in (('settled', settled), ('instant', instant)):
        w1, b1, w2, b2 = net.folded()
        size = 'VAD_%s_HIDDEN' % name.upper()
        text += '\n' + c_array('vad_%s_input' % name, w1, '[VAD_%s_INPUTS * %s]' % (name.upper(), size))
        text += '\n' + c_array('vad_%s_hidden_bias' % name, b1, '[%s]' % size)
        text += '\n' + c_array('vad_%s_output' % name, w2, '[%s]' % size)
        text += '\nconst float vad_%s_output_bias = %.8gf;\n' % (name, b2[0])
    with open(path, 'w', encoding='ascii') as out:
        out.write(text)
    subprocess.check_call(['clang-format', '-i', path])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--corpus', required=True)
    parser.add_argument('--seed', type=int, default=SEED)
    parser.add_argument('--tracks', type=int, default=700)
    parser.add_argument('--negatives', type=int, default=400)
    parser.add_argument('--epochs', type=int, default=6)
    parser.add_argument('--cross-validate', action='store_true')
    parser.add_argument('--export', action='store_true')
    args = parser.parse_args()
    front, clips = Front(), read_corpus(args.corpus)
    if args.cross_validate:
        cross_validate(clips, front, args)
    if args.export:
        settled, instant = fit(clips, args.seed, front, args.tracks, args.negatives, args.epochs)
        export(settled, instant, os.path.join(ROOT, 'dsp', 'vad_weights.c'))
        shared = [c for c in clips if c.group.startswith('shared/')]
        noises = [c for c in shared if c.kind == 'noise']
        report(score(settled, shared, noises, front, np.random.default_rng(args.seed)))


if __name__ == '__main__':
    main()
