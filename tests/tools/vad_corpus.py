"""Collects sound for train_vad.py: 8 kHz samples, groups, labels of people and of a teacher.

    vad_corpus.py --shared ../shared --packages DIR --teacher silero_vad.onnx --out corpus.npz

DIR holds unpacked Debian packages of spoken prompts (docs/voice-detector.md names them), the teacher
is the ONNX file of the PyPI package silero-vad. Needs numpy, scipy, soundfile and onnxruntime; it
is run by hand when the detector is trained, never by the build or the tests.
"""
import argparse
import csv
import glob
import os
import re

import numpy as np
import onnxruntime
import soundfile
from scipy.signal import resample_poly

FRAME = 80  # samples of a 10 ms cell at 8 kHz
SPEECH_FORMATS = ('rttm', 'textgrid', 'segments', 'ina-csv')


def load(path):
    if path.endswith('.gsm'):
        sound, rate = soundfile.read(path, samplerate=8000, channels=1, format='RAW', subtype='GSM610')
    else:
        sound, rate = soundfile.read(path)
    if sound.ndim > 1:
        sound = sound.mean(axis=1)
    return sound.astype(np.float64), rate


def resample(sound, rate, wanted):
    if rate == wanted:
        return sound
    step = np.gcd(rate, wanted)
    return resample_poly(sound, wanted // step, rate // step, window=('kaiser', 8.0))


class Teacher:
    """Silero at 10 ms: three passes shifted against each other, each chunk counts for its last part."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options)

    def one_pass(self, sound, rate, chunk, context):
        state = np.zeros((2, 1, 128), np.float32)
        tail = np.zeros(context, np.float32)
        out = []
        for at in range(0, len(sound) - chunk + 1, chunk):
            part = sound[at:at + chunk]
            x = np.concatenate([tail, part])[None]
            p, state = self.session.run(None, {'input': x, 'state': state, 'sr': np.array(rate, np.int64)})
            out.append(p[0, 0])
            tail = part[-context:]
        return np.array(out)

    def label(self, sound, rate, frames):
        """Probability of each 10 ms cell, 20 ms earlier than the teacher tells it."""
        use = 16000 if rate >= 16000 else 8000
        sound = resample(sound, rate, use).astype(np.float32)
        peak = np.sqrt(np.mean(sound**2)) + 1e-9
        sound = np.clip(sound * min(0.06 / peak, 30.0), -1, 1)  # it loses faint speech: level first
        chunk, context = (512, 64) if use == 16000 else (256, 32)
        total, weight = np.zeros(frames), np.zeros(frames)
        lead = use // 2
        for shift in (0, 1, 2):
            pad = np.zeros(lead - shift * use // 100, np.float32)
            p = self.one_pass(np.concatenate([pad, sound, np.zeros(use // 2, np.float32)]), use, chunk, context)
            centre_s = (np.arange(len(p)) + 0.5) * chunk / use - len(pad) / use - 0.020
            total += np.interp((np.arange(frames) + 0.5) * 0.01, centre_s, p)
            weight += 1
        return (total / weight).astype(np.float32)


def textgrid(path, tier):
    raw = open(path, 'rb').read()
    text = raw.decode('utf-16' if raw[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-8-sig')
    values = re.findall(r'"((?:[^"]|"")*)"|(?<![\w\["])(-?\d+(?:\.\d+)?)(?![\w\]":])', text)
    items = [s if n == '' else float(n) for s, n in values]
    at = [i for i, v in enumerate(items) if v in ('IntervalTier', 'TextTier')][tier - 1]
    count = int(items[at + 4])
    rows = items[at + 5:at + 5 + 3 * count]
    silent = ('#', '', 'sil', 'sp')
    return [(rows[i], rows[i + 1]) for i in range(0, len(rows), 3) if str(rows[i + 2]).strip() not in silent]


def segments(folder, row):
    path = os.path.join(folder, row['label'])
    kind = row['label_format']
    if kind == 'textgrid':
        return textgrid(path, int(row['arg']))
    out = []
    for line in open(path, encoding='utf-8'):
        f = re.split(r'[\s,]+', line.strip())
        if kind == 'rttm' and f[0] == 'SPEAKER' and f[1] == row['arg']:
            out.append((float(f[3]), float(f[3]) + float(f[4])))
        elif kind == 'segments' and f[-1] == 'speech':
            out.append((float(f[0]), float(f[1])))
        elif kind == 'ina-csv' and f[0] in ('male', 'female'):
            out.append((float(f[1]), float(f[2])))
    return out


def cells(spans, frames):
    """A cell is speech when half of it or more is covered."""
    fine = np.zeros(frames * 10, bool)
    for start, end in spans:
        fine[int(round(start * 1000)):int(round(end * 1000))] = True
    return (fine.reshape(frames, 10).sum(axis=1) >= 5).astype(np.float32)


class Corpus:
    def __init__(self, teacher):
        self.teacher = teacher
        self.names, self.groups, self.kinds, self.sound, self.soft, self.hard = [], [], [], [], [], []

    def add(self, name, group, kind, path, spans=None):
        sound, rate = load(path)
        if len(sound) < rate // 8:
            return
        low = resample(sound, rate, 8000)
        frames = len(low) // FRAME
        soft = np.zeros(frames, np.float32)
        if kind == 'speech':
            soft = self.teacher.label(sound, rate, frames)
            if spans is None and soft.max() < 0.6:
                return  # the teacher heard nobody: neither speech nor safely something else
        hard = np.full(frames, -1, np.float32) if spans is None else cells(spans, frames)
        self.names.append(name)
        self.groups.append(group)
        self.kinds.append(kind)
        self.sound.append(np.clip(np.round(low * 32768), -32768, 32767).astype(np.int16))
        self.soft.append(soft)
        self.hard.append(hard)

    def save(self, path):
        def ends(parts):
            return np.cumsum([len(p) for p in parts])
        np.savez(path, names=self.names, groups=self.groups, kinds=self.kinds,
                 sound=np.concatenate(self.sound), sound_ends=ends(self.sound),
                 soft=np.concatenate(self.soft), hard=np.concatenate(self.hard), frame_ends=ends(self.soft))


def add_shared(corpus, shared):
    audio = os.path.join(shared, 'data', 'audio')
    for row in csv.DictReader(open(os.path.join(audio, 'MANIFEST.tsv'), encoding='utf-8'), delimiter='\t'):
        folder = os.path.join(audio, row['source'])
        path = os.path.join(folder, row['audio'])
        name = row['source'] + '/' + row['clip']
        if row['label_format'] in SPEECH_FORMATS:
            # ami: the meetings share speakers, so they are one group; mfa-corpus: one speaker
            group = row['source'] if row['source'] in ('ami-excerpts', 'mfa-corpus') else name
            corpus.add(name, 'shared/' + group, 'speech', path, segments(folder, row))
        elif row['label_format'] == 'whole-file-nonspeech':
            corpus.add(name, 'shared/noise/' + row['audio'], 'noise', path)
        elif row['label_format'] == 'whole-file-music':
            corpus.add(name, 'shared/' + name, 'music', path)
        elif row['label_format'] == 'digit-in-name':
            corpus.add(name, 'shared/fsdd', 'speech', path)
        elif row['source'] == 'dual-track-calls':
            for side in sorted(glob.glob(os.path.join(folder, '*.wav'))):
                corpus.add(name + '/' + os.path.basename(side), 'shared/dual', 'speech', side)


def add_packages(corpus, packages, most):
    for package in sorted(os.listdir(packages)):
        files = sorted(p for p in glob.glob(os.path.join(packages, package, '**', '*'), recursive=True)
                       if re.search(r'\.(wav|ogg|opus|gsm)$', p) and '/silence/' not in p)
        taken = {}
        for path in files:
            group = package
            if package.startswith(('klettres', 'ktuberling')):
                group += '/' + re.search(r'/(?:klettres|sounds)/([^/]+)/', path).group(1)
            kind = 'music' if 'moh' in package else 'speech'
            if '@' in group or 'beep' in path or 'tones' in path:
                continue
            taken[group] = taken.get(group, 0) + 1
            if taken[group] <= most:
                corpus.add(path, group, kind, path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--shared', required=True)
    parser.add_argument('--packages', required=True)
    parser.add_argument('--teacher', required=True)
    parser.add_argument('--most', type=int, default=400, help='files taken of one speaker')
    parser.add_argument('--out', required=True)
    args = parser.parse_args()
    corpus = Corpus(Teacher(args.teacher))
    add_shared(corpus, args.shared)
    add_packages(corpus, args.packages, args.most)
    corpus.save(args.out)
    for group in sorted(set(corpus.groups)):
        rows = [i for i, g in enumerate(corpus.groups) if g == group]
        seconds = sum(len(corpus.sound[i]) for i in rows) / 8000
        share = np.concatenate([corpus.soft[i] for i in rows]).mean()
        print('%-60s %5d files %8.1f s  speech %.2f' % (group, len(rows), seconds, share))


if __name__ == '__main__':
    main()
