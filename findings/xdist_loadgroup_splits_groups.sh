#!/usr/bin/env bash
# SURPRISE
#   `pytest -n 2 --dist loadgroup` deals out the tests of one xdist_group one by one, to both workers, under
#   pytest 9.2: no error, no warning, and every test passes.  What a group is for (one server, one cluster,
#   a fixture that is made once) is lost without a sign but the time.
# VERSIONS
#   CPython 3.11.7, pytest-xdist 3.8.0 with pytest 8.4.2 and with pytest 9.2.0
# EXPECTED
#   All tests that carry one group's mark run in one worker, as they do under pytest 8: six tests, one worker.
# SEEN
#   Output:
#     pytest 8.4.2: 1 worker(s) ran the group of 6 tests, exit status 0
#     pytest 9.2.0: 2 worker(s) ran the group of 6 tests, exit status 0
#     as recorded
# INSTEAD
#   `--dist loadfile --no-loadscope-reorder`, what belongs together in one file; or let the group write down
#   PYTEST_XDIST_WORKER and fail where it is not always the same.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/test_group.py" <<'PY'
import os
import time
from pathlib import Path

import pytest


@pytest.mark.xdist_group("cluster")
@pytest.mark.parametrize("number", range(6))
def test_in_a_group(number):
    time.sleep(0.2)
    with Path("workers").open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PY
cd "$dir"
seen=""
for version in 8.4.2 9.2.0; do
  python3 -m venv "venv-$version"
  "venv-$version/bin/pip" install -q --disable-pip-version-check "pytest==$version" pytest-xdist==3.8.0
  rm -f workers
  status=0
  "venv-$version/bin/python" -m pytest -q -n 2 --dist loadgroup test_group.py > log || status=$?
  count=$(sort -u workers | wc -l)
  echo "pytest $version: $count worker(s) ran the group of $(wc -l < workers) tests, exit status $status"
  seen="$seen $count/$status"
done
[ "$seen" = " 1/0 2/0" ] && echo "as recorded"
