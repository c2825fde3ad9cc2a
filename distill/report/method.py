"""What a run says of its method: over seeds, by domain, and in sums that later runs are compared with."""

import math
from collections.abc import Sequence
from typing import Any

from distill.evidence import Estimate, by_seed, gap_closed, kept, mean, method_gain, ne_gain, pool
from distill.report.scores import number
from distill.report.summary import Pair

KEPT = 100
"""Resamples of each vertical that are written down: there may be hundreds of these."""


def method(pairs: Sequence[Pair], level: float) -> dict[str, Any]:
    """The claim that this way of teaching is better than none, over the seeds; never from one of them."""
    claim = method_gain(list(_seeds(pairs).values()), level)
    return {
        "verdict": claim.word,
        "seeds": claim.seeds,
        "ne_gain": number(claim.gain.value),
        "ne_gain_low": number(claim.gain.low),
        "ne_gain_high": number(claim.gain.high),
        "seed_spread": number(claim.seed_spread),
        "row_error": number(claim.row_error),
        "reason": claim.gain.reason,
    }


def domains(pairs: Sequence[Pair], level: float) -> list[dict[str, Any]]:
    """Gain and gap of each domain, its students as one; empty where no domain is named."""
    return [_domain(name, [pair for pair in pairs if pair.domain == name], level) for name in _names(pairs)]


def pooled(pairs: Sequence[Pair]) -> dict[str, Any]:
    """What later runs are compared with: the sums of each seed over all students, over those of each domain, and the
    mean over seeds of each vertical."""
    parts = {name: [pair for pair in pairs if pair.domain == name] for name in _names(pairs)}
    own: dict[str, list[Pair]] = {}
    for pair in pairs:
        own.setdefault(pair.vertical, []).append(pair)
    return {
        "verticals": sorted({pair.vertical for pair in pairs}),
        "seeds": {str(seed): kept(sums) for seed, sums in _seeds(pairs).items()},
        "domains": {
            name: {str(seed): kept(sums) for seed, sums in _seeds(part).items()} for name, part in parts.items()
        },
        "by_vertical": {name: kept(mean(list(_seeds(own[name]).values())), KEPT) for name in sorted(own)},
    }


def _names(pairs: Sequence[Pair]) -> list[str]:
    return sorted({pair.domain for pair in pairs if pair.domain})


def _seeds(pairs: Sequence[Pair]) -> dict[int, Any]:
    """Seed -> the sums of its students, in the verticals and tasks where every seed has one."""
    everyone = {pair.seed for pair in pairs}
    there: dict[tuple[str, str], set[int]] = {}
    for pair in pairs:
        there.setdefault((pair.vertical, pair.task), set()).add(pair.seed)
    whole = [pair for pair in pairs if there[pair.vertical, pair.task] == everyone]
    return by_seed({seed: found for seed in sorted(everyone) if (found := [p.sums for p in whole if p.seed == seed])})


def _domain(name: str, pairs: Sequence[Pair], level: float) -> dict[str, Any]:
    whole = pool(pair.sums for pair in pairs)
    scored = [pair.sums for pair in pairs if not math.isnan(pair.sums.teacher[0])]
    gap = gap_closed(pool(scored), level) if scored else Estimate(math.nan, math.nan, math.nan, "no teacher's scores")
    gain = ne_gain(whole, level)
    return {
        "domain": name,
        "verticals": len({pair.vertical for pair in pairs}),
        "students": len(pairs),
        "ne_gain": number(gain.value),
        "ne_gain_low": number(gain.low),
        "ne_gain_high": number(gain.high),
        "gap_closed": number(gap.value),
        "gap_closed_low": number(gap.low),
        "gap_closed_high": number(gap.high),
        "reason": gain.reason or gap.reason,
    }
