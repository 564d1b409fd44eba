#!/usr/bin/env bash
# SURPRISE
#   moocore.is_nondominated judges points with an infinite coordinate wrongly, and in both directions: in
#   three objectives it drops a point that nothing dominates, in four it keeps one that is dominated.
#   An infinite cost is how a search marks a limit that a candidate could not be measured on.
# VERSIONS
#   CPython 3.11.7, moocore 0.3.2, numpy 2.4.6
# EXPECTED
#   Infinity is ordered like any other float: it is worse than each finite cost and equal to itself.  The
#   answer should be the definition's, and the same after each infinity is replaced by a large number.
# SEEN
#   Right in two objectives; wrong in three and in four; right everywhere with 1e9 for infinity.
#   Output:
#     [[1.0, inf], [inf, 0.0]]
#        by definition [True, True]  moocore [True, True]  moocore, 1e9 for inf [True, True]
#     [[1.0, inf, 0.0], [inf, 0.0, 2.0]]
#        by definition [True, True]  moocore [True, False]  moocore, 1e9 for inf [True, True]
#     [[1.0, 1.0, 0.0, inf], [inf, 1.0, 2.0, inf]]
#        by definition [True, False]  moocore [True, True]  moocore, 1e9 for inf [True, False]
#     as recorded
# INSTEAD
#   Replace infinite costs by a finite one larger than all others before the call (the order is all that
#   counts), or leave such points out.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check numpy==2.4.6 moocore==0.3.2
"$dir/venv/bin/python" - <<'PY'
import sys

import moocore
import numpy as np

inf = np.inf


def by_definition(points):
    return [
        not any(np.all(other <= point) and np.any(other < point) for other in points) for point in points
    ]


seen = []
for points in (
    [[1, inf], [inf, 0]],
    [[1, inf, 0], [inf, 0, 2]],
    [[1, 1, 0, inf], [inf, 1, 2, inf]],
):
    points = np.array(points, dtype=float)
    finite = np.where(np.isinf(points), 1e9, points)
    answers = [
        by_definition(points),
        moocore.is_nondominated(points).tolist(),
        moocore.is_nondominated(finite).tolist(),
    ]
    seen.append(answers)
    print(points.tolist())
    print(f"   by definition {answers[0]}  moocore {answers[1]}  moocore, 1e9 for inf {answers[2]}")

two, three, four = seen
as_recorded = (
    two == [[True, True]] * 3
    and three == [[True, True], [True, False], [True, True]]
    and four == [[True, False], [True, True], [True, False]]
)
print("as recorded" if as_recorded else "CHANGED: the answers are not as recorded")
sys.exit(not as_recorded)
PY
