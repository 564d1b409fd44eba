import pytest
import torch
from torch.utils.checkpoint import checkpoint

from budgets.allocations import Allocations


@pytest.mark.parametrize(
    ("function", "live", "peak"),
    [
        (lambda x: x.view(-1), 0, 0),
        (lambda x: x.add_(1), 0, 0),
        (lambda x: x + 1, 400, 400),
        (lambda x: (x + 1) + 1, 400, 800),
        (lambda x: (x + 1).add_(1), 400, 400),
        (lambda x: ((x + 1) + 1).sum(), 4, 800),
    ],
)
def test_storages_count_while_something_refers_to_them(function, live, peak):
    x = torch.empty(10, 10, device="meta")
    with Allocations([x]) as tracker:
        out = function(x)
    assert (tracker.live_bytes, tracker.peak_bytes) == (live, max(peak, live))
    del out
    assert tracker.live_bytes == 0


def test_what_is_kept_for_the_gradient_stays():
    x = torch.empty(10, 10, device="meta", requires_grad=True)
    with Allocations([x]) as tracker:
        out = (x.exp() * 2).sum()
        kept = tracker.live_bytes
        again = checkpoint(lambda y: y.exp().exp().sum(), x, use_reentrant=False)
        recomputed = tracker.live_bytes - kept
        out.backward()
        after = tracker.live_bytes
    assert kept == 400 + 4  # exp keeps its result, the sum is the output
    assert recomputed == 4
    assert after == 400 + 4 + 4  # the gradient of x, and both sums
    del again


def test_an_address_that_is_used_again_is_a_new_storage():
    known = [torch.empty(10, 10) for _ in range(50)]
    with Allocations(known) as tracker:
        known.clear()
        made = [torch.empty(10, 10) for _ in range(100)]
    assert tracker.live_bytes == 400 * len(made)
