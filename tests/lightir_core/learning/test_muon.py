import pytest
import torch

from lightir_core.learning.muon import Muon, orthogonal


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_it_is_torchs_muon(weight_decay):
    torch.manual_seed(0)
    theirs = [torch.randn(shape) for shape in ((8, 8), (8, 8), (24, 8), (8, 90), (24, 8))]
    ours = [matrix.clone() for matrix in theirs]
    known = torch.optim.Muon(
        theirs, lr=0.02, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    muon = Muon(ours, lr=0.02, weight_decay=weight_decay)
    for _ in range(5):
        for a, b in zip(theirs, ours, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        known.step()
        muon.step()
    for a, b in zip(theirs, ours, strict=True):
        # products of stacked matrices may be rounded otherwise, to half precision
        torch.testing.assert_close(b, a, atol=2e-3, rtol=0)
        assert torch.equal(muon.state[b]["momentum_buffer"], known.state[a]["momentum_buffer"])


def test_singular_values_come_close_to_one():
    torch.manual_seed(0)
    for shape in ((3, 16, 16), (2, 12, 40), (2, 40, 12)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)).float())
        assert values.min() > 0.3
        assert values.max() < 1.4


def test_a_matrix_without_a_gradient_stays():
    matrices = [torch.ones(8, 8), torch.ones(8, 8)]
    matrices[0].grad = torch.eye(8)
    Muon(matrices, lr=0.1).step()
    assert not torch.equal(matrices[0], torch.ones(8, 8))
    assert torch.equal(matrices[1], torch.ones(8, 8))
