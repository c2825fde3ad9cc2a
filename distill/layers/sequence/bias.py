"""What attention knows of order: which tokens may be read, how far away they are, and how long ago they were.

Tokens stand newest first, as histories do: the candidate is token 0, and each token reads itself and older ones.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from distill.layers.lookup import lookup
from distill.types import GAPS

NEVER = -32_752.0
"""Half of the least number of 16 bits, since scores are added to it. Not minus infinity, whose SiLU is no number."""
SPREAD = 0.02
"""Standard deviation of fresh biases, as in HSTU's code."""


def causal(present: Bool[Tensor, "rows tokens"], like: Tensor) -> Float[Tensor, "rows 1 tokens tokens"]:
    """What to add to a score: 0 where a token may be read, otherwise `NEVER`, of which neither attention feels a thing.

    Args:
        present: which tokens there are.
        like: says on which device and in which precision.
    """
    tokens = torch.arange(present.shape[-1], device=present.device)
    older = tokens >= tokens.unsqueeze(-1)
    never = (~(older & present.unsqueeze(-2))).to(like.dtype) * NEVER
    return never.unsqueeze(-3)


class RelativeBias(nn.Module):
    """A learned number for each distance between two tokens, and one for each time between them, where there is time.

    Zhai et al., Actions Speak Louder than Words (HSTU), 2024, whose code adds both to the scores of all heads; a
    distance never points to newer tokens here, so half of its table is enough.

    Args:
        tokens: most tokens of a row, the candidate among them.
        time: whether tokens come with the buckets of their times.
    """

    def __init__(self, tokens: int, time: bool) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(tokens, 1) * SPREAD)
        self.time = nn.Parameter(torch.randn(GAPS, 1) * SPREAD) if time else None

    def forward(
        self, tokens: int, apart: Int[Tensor, "rows tokens tokens"] | None
    ) -> Float[Tensor, "... 1 tokens tokens"]:
        """Added to the scores of so many tokens."""
        place = torch.arange(tokens, device=self.position.device)
        (bias,) = lookup(self.position, (place - place.unsqueeze(-1)).clamp(min=0))
        if self.time is not None:
            bias = bias + lookup(self.time, apart)[0]
        return bias.squeeze(-1).unsqueeze(-3)


def seconds_ago(gaps: Int[Tensor, "rows steps"]) -> Float[Tensor, "rows steps"]:
    """About how long before the impression each event was.

    Data know it by its power of two: gap g >= 1 is 2^(g-1) - 1 up to 2^g - 1 seconds. The middle stands for all.
    """
    return (torch.exp2(gaps.double() - 1) * 1.5 - 1).clamp(min=0)


def time_apart(ago: Float[Tensor, "rows tokens"]) -> Int[Tensor, "rows tokens tokens"]:
    """The bucket of the time between each token's successor and each token.

    HSTU's code takes the time of the next event, which is what a token is asked about; the candidate has none, and
    takes its own. Its buckets are powers of e^0.301; ours are those of the data, powers of two, as there is no more to
    be known.
    """
    successor = torch.cat([ago[..., :1], ago[..., :-1]], -1)
    seconds = (ago.unsqueeze(-2) - successor.unsqueeze(-1)).abs()
    return torch.log2(seconds + 1).floor().long().clamp(max=GAPS - 1)
