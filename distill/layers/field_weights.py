"""Field weights: how much each field counts in each vertical."""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.layers.personalization import GateNU
from distill.layers.verticals import VerticalTable

Form = Literal["table", "gate"]


class FieldWeights(nn.Module):
    """One shared table of embeddings, whose fields each vertical weighs: `e'_f = g[d, f] * e_f`.

    FieldNetwork of Tencent's multi-scene ranker, of which only the idea is public; the two forms are ours. A table
    holds one weight for each vertical and field, 1 at first and for an unknown vertical. A gate makes them from the
    vertical's embedding and, without a gradient into them, the fields themselves (EPNet: Chang et al., KDD 2023).

    Args:
        count: number of verticals.
        fields: number of fields.
        width: numbers of one field's vector, and of a vertical's embedding in the gate form.
        form: where the weights come from.
    """

    def __init__(self, count: int, fields: int, width: int, form: Form) -> None:
        super().__init__()
        self.table = VerticalTable(count, fields if form == "table" else width, 0.0 if form == "table" else 0.1)
        self.gate = GateNU(width, fields * width, width, fields) if form == "gate" else None

    def forward(
        self, fields: Float[Tensor, "*members rows fields width"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows fields width"]:
        return fields * self.weights(fields, vertical).unsqueeze(-1)

    def weights(
        self, fields: Float[Tensor, "*members rows fields width"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows fields"]:
        """How much each field of each row counts; averaged by vertical, a map of what matters where."""
        own = self.table(vertical)
        return 1 + own if self.gate is None else self.gate(own, fields.flatten(-2))
