"""Storage: growth, what is known, gradients into the bank, files."""

import pytest
import torch
from torch.func import functional_call

from lightir_core.checkpoints import load_model, save_model
from lightir_core.errors import CheckpointError
from lightir_core.tensor_files import save_tensors
from search.bank.bank import SQUARE, STEPS, VALUE, Bank, fill, load_bank
from search.bank.roles import Place, places


def stored(bank, network, *, steps=1.0):
    """Make all weights of a network known to the bank."""
    planes = {}
    for name, tensor in network.state_dict().items():
        planes[name] = torch.zeros(4, *tensor.shape)
        planes[name][VALUE], planes[name][STEPS] = tensor, steps
    bank.give_back(network, planes)


def place(*shape):
    index = tuple(
        torch.arange(size).view([-1 if axis == at else 1 for axis in range(len(shape))])
        for at, size in enumerate(shape)
    )
    return Place("some", index)


def test_tensors_grow_to_the_largest_and_keep_what_they_hold():
    bank = Bank()
    bank.put(place(2, 3), torch.ones(4, 2, 3))
    bank.put(place(3, 1), torch.full((4, 3, 1), 2.0))
    assert bank.tensors["some"].shape == (4, 3, 3)
    expected = torch.tensor([[2.0, 1, 1], [2, 1, 1], [2, 0, 0]])
    assert torch.equal(bank.take(place(3, 3))[SQUARE], expected)
    assert len(bank) == 7


def test_what_the_bank_does_not_know_stays_as_it_was(networks):
    bank = Bank()
    (_, small), (_, other) = networks(2, ("small",))
    stored(bank, small)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    borrowed = bank.borrow(other)
    share = fill(other, borrowed)
    assert 0 < share < 1
    for name, tensor in other.state_dict().items():
        known = borrowed[name][STEPS] > 0
        assert torch.equal(tensor[known], borrowed[name][VALUE][known])
        assert torch.equal(tensor[~known], before[name][~known])


def test_everything_is_known_of_what_was_stored(networks):
    bank = Bank()
    for _, network in networks(1):
        stored(bank, network)
        assert fill(network, bank.borrow(network)) == 1


@pytest.mark.parametrize("name", ["default", "agileir", "acla", "grformer"])
def test_a_network_built_loaded_and_saved_equals_the_functional_call(networks, name, tmp_path):
    bank = Bank()
    for _, network in networks(3, (name,)):
        stored(bank, network)
    for _, network in networks(3, (name,)):
        network.eval()
        image = torch.rand(1, 3, 20, 17)
        slices = {key: planes[VALUE] for key, planes in bank.borrow(network).items()}
        with torch.no_grad():
            expected = functional_call(network, slices, image)
            fill(network, bank.borrow(network))
            save_model(tmp_path / network.architecture.id, network)
            actual = load_model(tmp_path / network.architecture.id)(image)
        assert (actual - expected).abs().max() < 1e-6


def test_gradients_flow_into_the_bank(networks):
    bank = Bank()
    _, network = next(networks(1, ("small",)))
    stored(bank, network)
    for tensor in bank.tensors.values():
        tensor.requires_grad_()
    image = torch.rand(1, 3, 8, 8)
    slices = {name: planes[VALUE] for name, planes in bank.borrow(network).items()}
    functional_call(network, slices, image).square().sum().backward()
    network(image).square().sum().backward()
    home = places(network)
    for name, parameter in network.named_parameters():
        grad = bank.tensors[home[name].key].grad[(slice(None), *home[name].index)]
        assert torch.allclose(grad[VALUE], parameter.grad, atol=1e-5), name
        assert not grad[STEPS].any()


def test_a_bank_comes_back_from_its_file(networks, tmp_path):
    bank = Bank()
    for _, network in networks(1, ("small", "acla")):
        stored(bank, network)
    bank.save(tmp_path / "bank.safetensors", {"steps": 5, "lost": 0})
    again, facts = load_bank(tmp_path / "bank.safetensors")
    assert facts == {"steps": 5, "lost": 0}
    assert again.tensors.keys() == bank.tensors.keys()
    assert all(torch.equal(again.tensors[key], bank.tensors[key]) for key in bank.tensors)


def test_other_files_are_no_banks(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"a": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="no weight bank"):
        load_bank(path)
