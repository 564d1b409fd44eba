#!/usr/bin/env bash
# SURPRISE
#   PSNR-B of torchmetrics depends on how many images are in a batch: it falls when the very same pair is
#   repeated.  The blocking term is summed over the batch but divided by the pixel pairs of one image.
# VERSIONS
#   CPython 3.11.7, torch 2.13.0, torchmetrics 1.9.0, numpy 2.4.6
# EXPECTED
#   A batch of n copies of one pair should score what the pair scores, as plain PSNR does, and the class
#   should give one number whether it sees the images one at a time or together.
# SEEN
#   The score drops with each doubling of the batch; for one image it agrees with the published formula.
#   The class adds up the blocking terms of its updates too, so smaller batches do not help it.
#   Output:
#     by the formula, one image: 10.815 dB
#       1 copies: PSNR-B 10.815 dB  PSNR 10.879 dB
#       2 copies: PSNR-B 10.752 dB  PSNR 10.879 dB
#       4 copies: PSNR-B 10.629 dB  PSNR 10.879 dB
#       8 copies: PSNR-B 10.393 dB  PSNR 10.879 dB
#     100 copies: PSNR-B 6.933 dB  PSNR 10.879 dB
#     the class, 8 updates of one image: 10.393 dB
#     as recorded
# INSTEAD
#   Call the function on one image at a time and average; don't use the class over a data set, nor compare
#   numbers of test sets of different sizes.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchmetrics==1.9.0
"$dir/venv/bin/python" - <<'PY'
import sys

import numpy as np
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio as psnr
from torchmetrics.functional.image import peak_signal_noise_ratio_with_blocked_effect as psnrb
from torchmetrics.image import PeakSignalNoiseRatioWithBlockedEffect

SIZE, BLOCK = 64, 8
rng = np.random.default_rng(0)
sharp = rng.random((SIZE, SIZE))
means = sharp.reshape(SIZE // BLOCK, BLOCK, SIZE // BLOCK, BLOCK).mean((1, 3))
blocky = np.kron(means, np.ones((BLOCK, BLOCK)))


def by_formula(restored, truth):
    """Yim and Bovik's PSNR-B of one square image, peak 1, with torchmetrics' counts of pixel pairs."""
    edge = np.arange(SIZE - 1) % BLOCK == BLOCK - 1
    steps = [np.diff(restored, axis=1) ** 2, np.diff(restored, axis=0).T ** 2]
    on_edges = 2 * (SIZE * SIZE / BLOCK - 1)
    elsewhere = 2 * SIZE * (SIZE - 1) - on_edges
    across = sum(step[:, edge].sum() for step in steps) / on_edges
    inside = sum(step[:, ~edge].sum() for step in steps) / elsewhere
    factor = np.log2(BLOCK) / np.log2(SIZE) if across > inside else 0
    error = ((restored - truth) ** 2).mean() + factor * (across - inside)
    return -10 * np.log10(error)


restored, truth = (torch.from_numpy(a)[None, None] for a in (blocky, sharp))
formula = by_formula(blocky, sharp)
print(f"by the formula, one image: {formula:.3f} dB")
scores = {}
for copies in (1, 2, 4, 8, 100):
    batch = restored.repeat(copies, 1, 1, 1), truth.repeat(copies, 1, 1, 1)
    scores[copies] = float(psnrb(*batch, data_range=1.0))
    plain = float(psnr(*batch, data_range=1.0))
    print(f"{copies:3} copies: PSNR-B {scores[copies]:.3f} dB  PSNR {plain:.3f} dB")
metric = PeakSignalNoiseRatioWithBlockedEffect(data_range=1.0)
for _ in range(8):
    metric.update(restored, truth)
one_at_a_time = float(metric.compute())
print(f"the class, 8 updates of one image: {one_at_a_time:.3f} dB")

as_recorded = (
    abs(scores[1] - formula) < 1e-3
    and scores[1] > scores[2] > scores[4] > scores[8] > scores[100]
    and scores[1] - scores[100] > 1
    and abs(one_at_a_time - scores[8]) < 1e-3
)
print("as recorded" if as_recorded else "CHANGED: the scores are not as recorded")
sys.exit(not as_recorded)
PY
