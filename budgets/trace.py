"""MACs of any function on tensors, by watching the operations that it dispatches.

On meta tensors nothing is computed and nothing is stored, and fused attention arrives as the two
matrix products that it is. An operation is known either by a formula (`MACS`) or as free (`FREE`);
one that is neither is taken apart into its own steps, or refused: a silent zero is a wrong budget.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lightir_core.errors import BudgetError

Arguments = tuple[Any, ...]
Formula = Callable[[Arguments, Any], int]


def _product(left: int, right: int) -> Formula:
    """Return (.., n, k) @ (.., k, m): the positions of both factors among the arguments."""
    return lambda args, out: args[left].numel() * args[right].shape[-1]


def _vector_product(left: int) -> Formula:
    """Return (n, k) @ (k): one multiply-add per element of the left factor."""
    return lambda args, out: args[left].numel()


def _convolution(args: Arguments, out: Tensor) -> int:
    """Count one filter of the kernel for each output (or, transposed, each input) element."""
    image, weight, transposed = args[0], args[1], args[6]
    return (image if transposed else out).numel() * math.prod(weight.shape[1:])


def _attention(args: Arguments, out: Any) -> int:  # noqa: ANN401  kernels return several tensors
    """QKᵀ and AV: (.., N, d) with (.., M, d) keys and (.., M, dv) values."""
    query, key, value = args[:3]
    return query.numel() // query.shape[-1] * key.shape[-2] * (key.shape[-1] + value.shape[-1])


def _sampling(args: Arguments, out: Any) -> int:  # noqa: ANN401  kernels return several tensors
    """Weighted sums of table rows, which is how cross-layer attention samples: 5 per key.

    ACLA's count is 4 for the bilinear sample and 1 for its weight, whatever kernel does both in
    one; `args` are the table (.., C) and the numbers of the four rows of each sample.
    """
    return args[1].numel() // 4 * 5 * args[0].shape[-1]


MACS: dict[str, Formula] = {
    "mm": _product(0, 1),
    "bmm": _product(0, 1),
    "addmm": _product(1, 2),
    "baddbmm": _product(1, 2),
    "addbmm": _product(1, 2),
    "mv": _vector_product(0),
    "addmv": _vector_product(1),
    "dot": _vector_product(0),
    "vdot": _vector_product(0),
    "convolution": _convolution,
    "_embedding_bag": _sampling,
    "_embedding_bag_forward_only": _sampling,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
}
"""Multiply-adds by operation, from its arguments and its result."""

_MEMORY = """
    _conj _copy_from _neg_view _reshape_alias _to_copy _unsafe_view alias arange as_strided
    as_strided_scatter cat clone constant_pad_nd contiguous copy copy_ detach detach_ diagonal
    diagonal_copy empty empty_like empty_strided expand eye fill fill_ flip full full_like gather
    im2col col2im index index_add index_copy index_put index_put_ index_select lift lift_fresh
    linspace masked_fill masked_fill_ masked_scatter new_empty new_empty_strided new_full new_ones
    new_zeros ones ones_like pad permute pixel_shuffle pixel_unshuffle reflection_pad1d
    reflection_pad2d repeat repeat_interleave replication_pad1d replication_pad2d resize_ roll
    scalar_tensor scatter scatter_ scatter_add select select_scatter slice slice_scatter split
    split_with_sizes squeeze squeeze_ stack t t_ take transpose transpose_ tril triu unbind unfold
    unsqueeze unsqueeze_ view view_as_complex view_as_real where zero_ zeros zeros_like unfold_copy
    _local_scalar_dense is_same_size set_ sort topk argsort bucketize searchsorted nonzero
"""
_ELEMENTWISE = """
    abs acos add add_ addcdiv addcmul all amax amin aminmax any argmax argmin asin atan atan2
    bernoulli bernoulli_ bitwise_and bitwise_not bitwise_or bitwise_xor ceil celu clamp clamp_
    clamp_max clamp_max_ clamp_min clamp_min_ copysign cos cosh cumsum div div_ elu eq erf erfc
    erfinv exp exp2 exp_ expm1 exponential_ floor floor_divide fmod frac ge gelu gelu_ glu gt
    hardsigmoid hardswish hardtanh huber_loss isfinite isinf isnan le leaky_relu leaky_relu_ lerp
    lerp_ log log10 log1p log2 log_sigmoid_forward logaddexp logical_and logical_not logical_or
    logical_xor logit logsumexp lt max maximum mean min minimum mish mse_loss mul mul_ nan_to_num
    native_dropout ne neg neg_ normal_ pow pow_ prod rand rand_like randn randn_like reciprocal
    relu relu6 relu_ remainder round rsqrt rsub selu sgn sigmoid sigmoid_ sign silu silu_ sin sinh
    smooth_l1_loss softplus sqrt square std sub sub_ sum tan tanh tanh_ threshold trunc uniform_
    var var_mean xlogy
"""
_NORMS_AND_SAMPLING = """
    _softmax _log_softmax _safe_softmax native_layer_norm native_group_norm native_batch_norm
    _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_with_update
    _fused_rms_norm linalg_vector_norm norm
    _adaptive_avg_pool2d adaptive_max_pool2d avg_pool2d max_pool2d_with_indices
    embedding grid_sampler_2d
    upsample_nearest2d upsample_bilinear2d upsample_bicubic2d
    _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_nearest_exact2d
"""
FREE = frozenset((_MEMORY + _ELEMENTWISE + _NORMS_AND_SAMPLING).split())
"""Operations that count as nothing: views, copies, elementwise, norms, softmax, interpolation."""

SHAPES: dict[str, Callable[[Arguments], Tensor]] = {
    "addmm": lambda args: torch.mm(args[1], args[2]),
    **dict.fromkeys(
        ("clamp", "clamp_min", "gelu", "relu", "roll", "sigmoid"),
        lambda args: torch.empty_like(args[0]),
    ),
}
"""Results on meta tensors by shorter ways: torch's meta kernels of these are slow Python."""


class MacCounter(TorchDispatchMode):
    """Counts the multiply-adds of everything that runs inside its `with` block.

    Attributes:
        macs: the count so far.

    Raises:
        BudgetError: an operation is neither known to cost something nor known to be free.
    """

    def __init__(self) -> None:
        """Start from zero."""
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  torch's is partly untyped
        self.macs = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  torch's operation type is private
        types: object,
        args: Arguments = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run one operation and add what it costs."""
        name = func.name().removeprefix("aten::").partition(".")[0]
        formula = MACS.get(name)
        if formula is None and name not in FREE:
            return self._take_apart(name, func, args, kwargs or {})
        shape = SHAPES.get(name)
        if shape is not None and args[0].is_meta:
            out: object = shape(args)
        else:
            out = func(*args, **(kwargs or {}))
        if formula is not None:
            self.count(formula(args, out), args)
        return out

    def _take_apart(
        self,
        name: str,
        func: Any,  # noqa: ANN401  torch's operation type is private
        args: Arguments,
        kwargs: dict[str, Any],
    ) -> object:
        """Run an operation that is neither counted nor free as the steps that it is made of."""
        with self:
            out = func.decompose(*args, **kwargs)
        if out is NotImplemented:
            raise BudgetError(
                f"the cost of the operation {name!r} is not known; give it a formula in "
                "budgets.trace.MACS, or list it in budgets.trace.FREE if it multiplies nothing"
            )
        return out

    def count(self, macs: int, operands: Arguments) -> None:
        """Add the multiply-adds of one operation on `operands`."""
        self.macs += macs


def count_macs(function: Callable[[], object]) -> int:
    """Return multiply-adds that `function` performs; see `MacCounter`."""
    with torch.no_grad(), MacCounter() as counter:
        function()
    return counter.macs
