"""MACs by fvcore, an independent counter: a check on ours, and a price for foreign networks.

fvcore runs the network on real numbers and counts what a trace of it calls. It silently counts what
it does not know as nothing; here that is an error unless the operation is known to be free.
"""

import math
import warnings
from collections import Counter
from typing import Any

from fvcore.nn import FlopCountAnalysis  # pyright: ignore[reportMissingTypeStubs]
from torch import Tensor, nn

from budgets.trace import FREE
from lightir_core.errors import BudgetError

_NORMS_AND_SAMPLING = (
    *("layer_norm", "batch_norm", "group_norm", "instance_norm", "rms_norm"),
    *("upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bicubic2d_aa"),
    *("grid_sampler", "adaptive_avg_pool2d"),
)
"""What fvcore counts by its elements; we count only convolutions and matrix products."""

_FREE = FREE | {
    *("softmax", "log_softmax", "dropout", "dropout_", "reflection_pad2d"),
    *("reshape", "chunk", "size", "to", "type_as", "flatten", "unflatten", "movedim", "meshgrid"),
    *("expand_as", "one_hot", "numel", "linalg_norm", "index_fill", "concat", "hstack", "vstack"),
    *("broadcast_tensors", "outer", "float", "narrow", "cartesian_prod", "std_mean", "square"),
}


def count_with_fvcore(network: nn.Module, *inputs: Tensor) -> int:
    """Return multiply-adds of one call of `network`, as fvcore counts them; norms are left out.

    Raises:
        BudgetError: fvcore met operations that it does not know and that may multiply.
    """
    analysis = FlopCountAnalysis(network, inputs)
    handles: dict[str, Any] = {f"aten::{name}": _free for name in _NORMS_AND_SAMPLING}
    handles |= {
        "aten::scaled_dot_product_attention": _attention,
        "aten::baddbmm": _baddbmm,
        "aten::embedding_bag": _sampling,
    }
    analysis.set_op_handle(**handles)  # pyright: ignore[reportUnknownMemberType]
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("none")
    with warnings.catch_warnings():  # it traces with torch.jit, which torch regrets as well
        warnings.simplefilter("ignore")
        total = int(analysis.total())
    unknown = _unknown(analysis.unsupported_ops())
    if unknown:
        raise BudgetError(
            f"fvcore does not know {', '.join(unknown)}, so its count would be too low; give it a "
            "handle in benchmarks.crosscheck, or list it there if it multiplies nothing"
        )
    return total


def _unknown(operations: Counter[str]) -> list[str]:
    """Operations that may be arithmetic, without their namespace."""
    names = {name.partition("::")[2] for name in operations if name.startswith("aten::")}
    foreign = {name for name in operations if not name.startswith(("aten::", "prim::"))}
    return sorted({name for name in names if name not in _FREE} | foreign)


def _free(inputs: list[Any], outputs: list[Any]) -> int:
    return 0


def _attention(inputs: list[Any], outputs: list[Any]) -> int:
    """QKᵀ and AV of (.., N, d), (.., M, d), (.., M, dv)."""
    query, key, value = map(_shape, inputs[:3])
    return math.prod(query[:-1]) * key[-2] * (key[-1] + value[-1])


def _baddbmm(inputs: list[Any], outputs: list[Any]) -> int:
    left, right = map(_shape, inputs[1:3])
    return math.prod(left) * right[-1]


def _sampling(inputs: list[Any], outputs: list[Any]) -> int:
    """Cross-layer attention's samples, four rows each: 4 for the sample, 1 for its weight."""
    table, rows = map(_shape, inputs[:2])
    return math.prod(rows) // 4 * 5 * table[-1]


def _shape(value: Any) -> list[int]:  # noqa: ANN401  a value of torch's traced graph
    return list(value.type().sizes())
