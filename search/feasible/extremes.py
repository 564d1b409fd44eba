"""The smallest and the largest cost in a whole space, axis by axis, without going through it."""

from __future__ import annotations

import numpy as np

from search.feasible.convolve import Chain, Chains
from search.feasible.factor import BODY, TAIL, groups_of
from search.feasible.place import Place
from search.feasible.stage_costs import Integers


def extremes(chains: Chains) -> tuple[Integers, Integers]:
    """Smallest and largest cost, by column: parameters, then MACs at each output size.

    Padding to a larger multiple never takes less work, so the smallest is found whichever feature
    map a network belongs to. For the largest, a stage must need the feature map it is priced on.
    """
    found = [_of_chain(chains, chain) for chain in chains.all()]
    lows, highs = zip(*(pair for pair in found if pair is not None), strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _of_chain(chains: Chains, chain: Chain) -> tuple[Integers, Integers] | None:
    features = chain.places[0].features
    low, high = np.array(chain.skeleton), np.array(chain.skeleton)
    losses: list[Integers] = []
    for place in chain.places:
        ranges = [
            _of_hub(chains, place, hub) for hub in range(len(chains.ledger.hubs(place.context)))
        ]
        low = low + np.min([least for least, _, _ in ranges], axis=0)
        most = np.max([largest for _, largest, _ in ranges], axis=0)
        high = high + most
        losses += [most - owned for _, _, owned in ranges if owned is not None]
    if chains.owner(1) == features:
        return low, high
    # the cheapest way to have one stage that asks for this feature map
    return (low, high - np.min(losses, axis=0)) if losses else None


def _of_hub(chains: Chains, place: Place, hub: int) -> tuple[Integers, Integers, Integers | None]:
    """Least and largest cost of a stage, and the largest that needs the place's feature map."""
    ledger = chains.ledger
    mixers, feed_forwards, passes = groups_of(ledger, place, hub, BODY)
    closings, slots = groups_of(ledger, place, hub, TAIL)
    copies, runs = passes.costs.T
    work = place.uses
    times = np.stack([copies, *[runs * work] * (mixers.costs.shape[1] - 1)], axis=1)
    both = np.full(times.shape[1], work)
    shared = np.array([1, *both[1:]])

    def total(mixer: Integers, pick: str) -> Integers:
        of = np.min if pick == "least" else np.max
        body = (mixer + of(feed_forwards.costs, axis=0)) * of(times, axis=0)
        return body + of(closings.costs, axis=0) * shared + of(slots.costs, axis=0) * both

    if not len(mixers.costs):
        nothing = np.zeros(times.shape[1], np.int64)
        return nothing + 2**62, nothing, None
    owners = [chains.owner(int(multiple)) == place.features for multiple in mixers.multiples]
    owned = mixers.costs[np.array(owners)]
    return (
        total(mixers.costs.min(axis=0), "least"),
        total(mixers.costs.max(axis=0), "most"),
        total(owned.max(axis=0), "most") if len(owned) else None,
    )
