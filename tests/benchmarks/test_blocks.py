import pytest

from benchmarks import blocks
from benchmarks.blocks import cases, compare, saved_bytes
from lightir_core.errors import LightIRError


def test_both_forms_are_measured():
    case = next(case for case in cases() if case.name.startswith("GRSA"))
    found = compare(case, batch=4, rounds=1, side_px=32)  # large enough to forget the softmax
    assert all(value > 0 for value in found.values())
    assert found["of_plain"] < 1


@pytest.mark.slow
def test_the_published_claim_of_gswa_holds():
    # AgileIR (ICANN 2025) claims half of SwinIR's memory; at its light size, with its output used
    swinir, agileir = (saved_bytes(f"{name}-light", 1, 16) for name in ("swinir", "agileir"))
    assert agileir["recomputed"] < 0.5 * swinir["plain"]
    assert agileir["recomputed"] < agileir["ours"] < agileir["plain"]


@pytest.mark.slow
def test_kept_bytes_grow_with_the_batch():
    one, two = (saved_bytes("drt", batch, side_px=14)["plain"] for batch in (1, 2))
    assert 1.9 * one < two < 2.1 * one


def test_without_the_formulas_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(blocks, "PLAIN", tmp_path / "none.py")
    with pytest.raises(LightIRError, match="from a checkout"):
        compare(cases()[0], batch=1, rounds=1)
