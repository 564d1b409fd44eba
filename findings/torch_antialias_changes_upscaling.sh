#!/usr/bin/env bash
# SURPRISE
#   antialias=True in torch.nn.functional.interpolate changes bicubic UPscaling, where there is nothing
#   to alias: the flag also swaps the cubic kernel, a = -0.75 without it and a = -0.5 with it.
# VERSIONS
#   CPython 3.11.7, torch 2.13.0, numpy 2.4.6
# EXPECTED
#   The flag widens the kernel when an image is made smaller; made larger, it should have no effect, as
#   is the case for bilinear.  "Bicubic" should be one kernel.
# SEEN
#   Bilinear does not change.  Bicubic does, by up to 0.07 of the range away from the borders; the two
#   results are Keys' kernels of two different constants, to seven digits.
#   Output:
#     x2, antialias False against True: bilinear 0.0000000  bicubic 0.0737720
#     bicubic, antialias=False against the kernel a=-0.75: 0.0000000
#     bicubic, antialias=False against the kernel a= -0.5: 0.0737720
#     bicubic, antialias=True  against the kernel a=-0.75: 0.0737720
#     bicubic, antialias=True  against the kernel a= -0.5: 0.0000000
#     as recorded
# INSTEAD
#   For a bicubic baseline or an interpolated skip say which kernel is meant: the tables of this field
#   (a = -0.5, as MATLAB and Pillow have) need antialias=True for both directions.  Never mix the two
#   between training, evaluation and export.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check numpy==2.4.6 torch==2.13.0
"$dir/venv/bin/python" - <<'PY'
import sys

import numpy as np
import torch
from torch.nn.functional import interpolate

SIZE = 20
image = np.random.default_rng(0).random((SIZE, SIZE))


def keys(distance, a):
    d = np.abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d < 1, near, np.where(d < 2, far, 0))


def twice(mode, antialias):
    tensor = torch.from_numpy(image)[None, None]
    return interpolate(tensor, scale_factor=2, mode=mode, antialias=antialias)[0, 0].numpy()


def twice_by_hand(a):
    centres = (np.arange(2 * SIZE) + 0.5) / 2 - 0.5
    matrix = keys(centres[:, None] - np.arange(SIZE), a)
    return matrix @ image @ matrix.T


def differ(one, other):
    """The largest difference where no kernel reaches over the border."""
    return float(np.abs(one - other)[6:-6, 6:-6].max())


bilinear = differ(twice("bilinear", False), twice("bilinear", True))
bicubic = differ(twice("bicubic", False), twice("bicubic", True))
print(f"x2, antialias False against True: bilinear {bilinear:.7f}  bicubic {bicubic:.7f}")
table = {
    (antialias, a): differ(twice("bicubic", antialias), twice_by_hand(a))
    for antialias in (False, True)
    for a in (-0.75, -0.5)
}
for (antialias, a), value in table.items():
    print(f"bicubic, antialias={antialias!s:5} against the kernel a={a:5}: {value:.7f}")

as_recorded = (
    bilinear < 1e-6
    and bicubic > 0.03
    and max(table[False, -0.75], table[True, -0.5]) < 1e-6
    and min(table[False, -0.5], table[True, -0.75]) > 0.03
)
print("as recorded" if as_recorded else "CHANGED: the kernels are not as recorded")
sys.exit(not as_recorded)
PY
