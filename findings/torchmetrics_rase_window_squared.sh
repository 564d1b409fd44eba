#!/usr/bin/env bash
# SURPRISE
#   RASE of torchmetrics is too large by the square of the window: the mean of the reference, which has
#   been averaged over the window already, is divided by the window's area once more.  With the usual
#   window of 8 the error in per cent is 64 times the true one.
# VERSIONS
#   CPython 3.11.7, torch 2.13.0, torchmetrics 1.9.0, numpy 2.4.6
# EXPECTED
#   A relative error: 100 / mean * sqrt(mean of the squared errors of the bands).  On a flat image with
#   an error of the same size everywhere it should be the same number for every window.
# SEEN
#   A band of 0.5 that is off by 0.05 everywhere, so 10 per cent, gives 10 * window * window.
#   Output:
#     by the definition: 10.00 per cent
#     window 2: torchmetrics 40.00, over the window's area 10.00; sewar 10.00
#     window 4: torchmetrics 160.00, over the window's area 10.00; sewar 10.00
#     window 8: torchmetrics 640.00, over the window's area 10.00; sewar 10.00
#     as recorded
# INSTEAD
#   Divide the result by window_size ** 2 before comparing with papers or other libraries (sewar 0.4.10
#   agrees with the definition), and pin the version for it.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check \
    numpy==2.4.6 torch==2.13.0 torchmetrics==1.9.0 scipy==1.17.1 sewar==0.4.10
"$dir/venv/bin/python" - <<'PY'
import sys

import numpy as np
import torch
from sewar.full_ref import rase as sewar_rase
from torchmetrics.functional.image import relative_average_spectral_error

truth = np.full((64, 64, 4), 0.5)
signs = np.random.default_rng(0).choice([-1.0, 1.0], size=truth.shape)
restored = truth + 0.05 * signs
bands = ((restored - truth) ** 2).mean((0, 1))
definition = 100 / truth.mean() * np.sqrt(bands.mean())
print(f"by the definition: {definition:.2f} per cent")


def to_tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None]


as_recorded = True
for window in (2, 4, 8):
    value = float(relative_average_spectral_error(to_tensor(restored), to_tensor(truth), window))
    other = float(sewar_rase(truth, restored, ws=window))
    print(f"window {window}: torchmetrics {value:.2f}, over the window's area {value / window**2:.2f}; sewar {other:.2f}")
    as_recorded &= abs(value / window**2 - definition) < 0.1 and abs(other - definition) < 0.1

print("as recorded" if as_recorded else "CHANGED: the values are not as recorded")
sys.exit(not as_recorded)
PY
