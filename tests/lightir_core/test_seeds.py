from itertools import product

import pytest

from lightir_core.seeds import derive


def test_a_seed_never_changes():
    """SHA-256 of the path, first four bytes: runs of years ago can be repeated."""
    # printf '0/trial/7' | sha256sum
    assert derive(0, "trial", 7) == 0x5138253C
    assert derive(12) == 0x6B51D431


def test_seeds_of_different_purposes_differ():
    paths = product(range(30), ("propose", "train", "finish", "prune", "fine-tune"), range(30))
    seeds = {derive(*path) for path in paths}
    assert len(seeds) == 30 * 5 * 30
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize(
    ("first", "second"), [((1, 23), (12, 3)), ((1, "a"), (1, "A")), ((1, 0), (1,))]
)
def test_paths_do_not_run_together(first, second):
    assert derive(*first) != derive(*second)
