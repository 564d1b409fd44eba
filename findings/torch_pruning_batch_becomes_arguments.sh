#!/usr/bin/env bash
# SURPRISE
#   torch-pruning passes an example tensor to the network as model(*example): the batch is taken apart.
#   With one image the network is traced on an input without batch axis; with two, the second image
#   becomes the second ARGUMENT, and a network that has an optional one is traced on another path.
# VERSIONS
#   CPython 3.11.7, torch 2.13.0, torch-pruning 1.6.1, numpy 2.4.6
# EXPECTED
#   The docstring allows a tensor or a list for example_inputs, and the README gives it a tensor of shape
#   1x3x224x224.  So a tensor should be the one input, as it is, and the size of the batch should not
#   change which layers belong together.
# SEEN
#   A restoration network with an optional noise map: the layer of the noise map belongs to the group of
#   the first convolution or doesn't, depending on the size of the example batch.
#   Output:
#     tensor 1x3x16x16     image (3, 16, 16), noise map None, pruned together ['head', 'tail']
#     tensor 2x3x16x16     image (3, 16, 16), noise map (3, 16, 16), pruned together ['head', 'noise', 'tail']
#     tuple with 1x3x16x16 image (1, 3, 16, 16), noise map None, pruned together ['head', 'tail']
#     tuple with 2x3x16x16 image (2, 3, 16, 16), noise map None, pruned together ['head', 'tail']
#     as recorded
# INSTEAD
#   Give a tuple with one tensor in it, (x,), or a dictionary of named inputs, never a bare tensor.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torch-pruning==1.6.1
"$dir/venv/bin/python" - <<'PY'
import sys

import torch
import torch_pruning as tp
from torch import nn


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 16, 3, padding=1)
        self.noise = nn.Conv2d(3, 16, 1)
        self.tail = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, image, noise_map=None):
        self.got = [None if x is None else tuple(x.shape) for x in (image, noise_map)]
        features = self.head(image)
        if noise_map is not None:
            features = features + self.noise(noise_map)
        return self.tail(features.relu())


def trace(example):
    torch.manual_seed(0)
    model = Denoiser()
    graph = tp.DependencyGraph().build_dependency(model, example_inputs=example)
    group = graph.get_pruning_group(model.head, tp.prune_conv_out_channels, idxs=[0])
    names = {module: name for name, module in model.named_modules()}
    layers = [names[dep.target.module] for dep, _ in group if dep.target.module in names]
    return model.got, sorted(set(layers))


images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
seen = {
    "tensor 1x3x16x16": trace(images[:1]),
    "tensor 2x3x16x16": trace(images),
    "tuple with 1x3x16x16": trace((images[:1],)),
    "tuple with 2x3x16x16": trace((images,)),
}
for example, ((image, noise_map), layers) in seen.items():
    print(f"{example:20} image {image}, noise map {noise_map}, pruned together {layers}")

recorded = {
    "tensor 1x3x16x16": ([(3, 16, 16), None], ["head", "tail"]),
    "tensor 2x3x16x16": ([(3, 16, 16), (3, 16, 16)], ["head", "noise", "tail"]),
    "tuple with 1x3x16x16": ([(1, 3, 16, 16), None], ["head", "tail"]),
    "tuple with 2x3x16x16": ([(2, 3, 16, 16), None], ["head", "tail"]),
}
print("as recorded" if seen == recorded else "CHANGED: the traces are not as recorded")
sys.exit(seen != recorded)
PY
