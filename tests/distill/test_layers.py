"""Layers against closed forms, brute force and torch's own; and mapped over members against alone."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from distill.layers import MLP, Cross, Dropout, FieldEmbedding, TargetAttention, lookup
from distill.layers.dropout import mix
from distill.types import PAD, Features, FeatureSchema, SequenceField


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Calls(TorchDispatchMode):
    """Counts the kernels that run, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


class TestLookup:
    def test_agrees_with_torch_embedding(self):
        table = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
        twin = table.detach().clone().requires_grad_()
        ids, more = torch.randint(7, (5, 2)), torch.randint(7, (4,))
        ours, theirs = lookup(table, ids, more), (functional.embedding(ids, twin), functional.embedding(more, twin))
        slopes = [torch.randn_like(one) for one in theirs]
        torch.autograd.backward(ours, slopes)
        torch.autograd.backward(theirs, slopes)
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
        torch.testing.assert_close(table.grad, twin.grad, rtol=0, atol=1e-15)

    def test_gradient_is_the_derivative(self):
        table = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
        ids, more = torch.tensor([[0, 3], [3, 3]]), torch.tensor([1])
        assert torch.autograd.gradcheck(lambda table: lookup(table, ids, more), table)

    def test_unused_reads_need_no_gradient(self):
        table = torch.zeros(3, 1, requires_grad=True)
        first, _ = lookup(table, torch.tensor([2, 2]), torch.tensor([0]))
        first.sum().backward()
        assert table.grad.flatten().tolist() == [0, 0, 2]

    def test_each_member_reads_its_own_table(self):
        table = torch.randn(6, 5, 2, requires_grad=True)
        ids = torch.randint(5, (6, 4, 3))
        with Calls() as calls:
            (found,) = vmap(lookup)(table, ids)
            found.square().sum().backward()
        assert not any("embedding" in name for name in calls.names)
        expected = torch.stack([one[index] for one, index in zip(table, ids, strict=True)])
        assert torch.equal(found, expected)
        (slope,) = torch.autograd.grad(expected.square().sum(), table)
        torch.testing.assert_close(table.grad, slope)

    @pytest.mark.parametrize("in_dims", [(None, 0), (0, None), (1, 2)])
    def test_members_may_share_table_or_ids(self, in_dims):
        shapes = {(None, 0): ((5, 2), (6, 4)), (0, None): ((6, 5, 2), (4,)), (1, 2): ((5, 6, 2), (4, 3, 6))}[in_dims]
        table = torch.randn(shapes[0], dtype=torch.float64, requires_grad=True)
        ids = torch.randint(5, shapes[1])
        (found,) = vmap(lookup, in_dims=in_dims)(table, ids)
        tables = [table] * 6 if in_dims[0] is None else table.unbind(in_dims[0])
        indices = [ids] * 6 if in_dims[1] is None else ids.unbind(in_dims[1])
        expected = torch.stack([one[index] for one, index in zip(tables, indices, strict=True)])
        assert torch.equal(found, expected)
        (slope,) = torch.autograd.grad(found.square().sum(), table)
        torch.testing.assert_close(slope, torch.autograd.grad(expected.square().sum(), table)[0])

    def test_members_may_share_the_table_and_some_ids(self):
        table, own, common = torch.randn(5, 2), torch.randint(5, (6, 4)), torch.randint(5, (3,))
        first, second = vmap(lookup, in_dims=(None, 0, None))(table, own, common)
        assert torch.equal(first, table[own])
        assert torch.equal(second, table[common].expand(6, 3, 2))


SCHEMA = FeatureSchema(
    tasks=("click",),
    verticals=1,
    tables={"colour": 2, "item": 3},
    categorical=("item", "colour"),
    numeric=("age",),
    sequences=(
        SequenceField("clicked", 3, ("item", "colour")),
        SequenceField("worn", 2, ("colour",), ordered=False, pool="sum"),
        SequenceField("liked", 2, ("item",), ordered=False),
    ),
    vectors={"text": 2},
)
"""Its tall table: colour 0, colour 1, item 0, item 1, item 2."""


def impressions() -> Features:
    """One row with everything, one with nothing but its categorical features."""
    return Features(
        vertical=torch.zeros(2, dtype=torch.int64),
        categorical=torch.tensor([[2, 1], [0, 0]]),
        numeric=torch.tensor([[0.5], [-1.0]]),
        sequences={
            "clicked": torch.tensor([[[0, 0], [1, 1], [PAD, PAD]], [[PAD, PAD]] * 3]),
            "worn": torch.tensor([[[1], [1]], [[PAD], [PAD]]]),
            "liked": torch.tensor([[[2], [PAD]], [[PAD], [PAD]]]),
        },
        vectors={"text": torch.tensor([[7.0, 8.0], [9.0, 10.0]])},
    )


class TestFieldEmbedding:
    @pytest.fixture
    def embedding(self) -> FieldEmbedding:
        embedding = FieldEmbedding(SCHEMA, width=1)
        embedding.weight = nn.Parameter(torch.tensor([[1.0], [2.0], [10.0], [20.0], [30.0]]))
        return embedding

    def test_lays_out_one_flat_vector(self, embedding):
        item, colour, clicked_item, clicked_colour, worn, liked = 30, 2, 15, 1.5, 4, 30
        whole = [item, colour, clicked_item, clicked_colour, worn, liked, 0.5, 7, 8]
        empty = [10, 1, 0, 0, 0, 0, -1, 9, 10]
        assert embedding(impressions()).tolist() == [whole, empty]
        assert embedding.width == len(whole)

    def test_keeps_steps_apart_for_those_who_ask(self, embedding):
        embedded = embedding.embed(impressions())
        assert embedded.fields.squeeze(-1).tolist() == [[30, 2], [10, 1]]
        assert embedded.steps["clicked"][0, :2].tolist() == [[10, 1], [20, 2]]
        assert embedded.present["clicked"].tolist() == [[True, True, False], [False] * 3]
        assert embedded.numbers.tolist() == [[0.5, 7, 8], [-1, 9, 10]]

    def test_gradient_counts_reads_and_leaves_padding_out(self, embedding):
        embedding(impressions()).sum().backward()
        colours = [1 + 0.5, 1 + 0.5 + 2]
        items = [1 + 0.5, 0.5, 1 + 1]
        assert embedding.weight.grad.flatten().tolist() == colours + items

    def test_offsets_may_differ_between_members(self):
        schemas = [SCHEMA, FeatureSchema(**{**vars(SCHEMA), "tables": {"colour": 5, "item": 9}})]
        alone = [FieldEmbedding(schema, width=4) for schema in schemas]
        tall = max(len(one.weight) for one in alone)
        weight = torch.stack([functional.pad(one.weight.detach(), (0, 0, 0, tall - len(one.weight))) for one in alone])
        offset = torch.stack([one.offset for one in alone])
        features = impressions()
        call = vmap(lambda state: functional_call(alone[0], state, (features,)))
        together = call({"weight": weight, "offset": offset})
        assert torch.equal(together, torch.stack([one(features) for one in alone]))

    def test_fresh_weights_follow_the_seed(self):
        torch.manual_seed(3)
        first = FieldEmbedding(SCHEMA, width=8).weight
        torch.manual_seed(3)
        assert torch.equal(first, FieldEmbedding(SCHEMA, width=8).weight)
        assert 0 < first.std() < 0.1

    @pytest.mark.parametrize("stored", [torch.float16, torch.float64])
    def test_numbers_take_the_precision_of_the_weights(self, embedding, stored):
        features = impressions()
        features = features._replace(
            numeric=features.numeric.to(stored), vectors={"text": features.vectors["text"].to(stored)}
        )
        assert embedding(features).dtype == torch.float32


class TestMLP:
    def test_is_linear_relu_linear_relu(self):
        mlp = MLP(3, (4, 2), dropout=0.5).eval()
        inputs = torch.randn(5, 3)
        (w1, b1), (w2, b2) = ((layer.weight, layer.bias) for layer in mlp.layers)
        expected = ((inputs @ w1.T + b1).clamp(min=0) @ w2.T + b2).clamp(min=0)
        torch.testing.assert_close(mlp(inputs), expected)
        assert mlp.width == 2

    def test_layers_drop_different_units(self):
        mlp = MLP(2, (64, 64), dropout=0.5)
        ones = torch.ones(8, 64)
        masks = [dropout(ones) for dropout in mlp.dropouts]
        other = MLP(2, (64,), dropout=0.5, salt=1).dropouts[0](ones)
        assert not torch.equal(masks[0], masks[1])
        assert not torch.equal(masks[0], other)


class TestCross:
    def test_follows_the_paper_element_by_element(self):
        cross, inputs = Cross(3, layers=2).double(), torch.randn(4, 3, dtype=torch.float64)
        expected = inputs.clone()
        for layer in cross.layers:
            before = expected.clone()
            for row in range(4):
                for unit in range(3):
                    inner = sum(layer.weight[unit, j] * before[row, j] for j in range(3)) + layer.bias[unit]
                    expected[row, unit] = inputs[row, unit] * inner + before[row, unit]
        torch.testing.assert_close(cross(inputs), expected)

    def test_each_layer_adds_one_degree(self):
        cross = Cross(1, layers=3).double()
        for layer in cross.layers:
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
        x = torch.linspace(-2, 2, 9, dtype=torch.float64).unsqueeze(-1)
        torch.testing.assert_close(cross(x), x * (1 + x) ** 3)


class TestTargetAttention:
    def test_is_multi_head_attention_with_folded_projections(self):
        heads, inputs, embed = 2, 6, 8
        oracle = nn.MultiheadAttention(embed, heads, bias=False, kdim=inputs, vdim=inputs, batch_first=True).double()
        folded = TargetAttention(embed, steps=5, inputs=inputs, heads=heads, width=embed).double()
        with torch.no_grad():
            wq, wk, wv = (getattr(oracle, f"{name}_proj_weight").unflatten(0, (heads, -1)) for name in "qkv")
            scale = math.sqrt(inputs) / math.sqrt(embed // heads)
            folded.query.weight.copy_(scale * (wk.mT @ wq).flatten(0, 1))
            folded.query.bias.zero_()
            output = oracle.out_proj.weight.view(embed, heads, -1)
            folded.output.weight.copy_(torch.einsum("ohd,hdi->ohi", output, wv).flatten(1))
        query, steps = torch.randn(7, embed).double(), torch.randn(7, 5, inputs).double()
        present = torch.arange(5) < torch.randint(1, 6, (7, 1))
        expected, _ = oracle(query.unsqueeze(1), steps, steps, key_padding_mask=~present)
        torch.testing.assert_close(folded(query, steps, present), expected.squeeze(1))

    @pytest.fixture
    def attention(self) -> TargetAttention:
        return TargetAttention(query=3, steps=4, inputs=5, heads=2, width=6).double()

    def test_an_empty_history_gives_zeros_and_finite_gradients(self, attention):
        query = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
        steps = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
        read = attention(query, steps, torch.tensor([[False] * 4, [True] * 4]))
        read.square().sum().backward()
        assert not read[0].any()
        assert read[1].any()
        for tensor in (query, steps, *attention.parameters()):
            assert tensor.grad.isfinite().all()
        assert not query.grad[0].any()
        assert not steps.grad[0].any()

    def test_absent_steps_are_not_read(self, attention):
        query, steps = torch.randn(1, 3).double(), torch.randn(1, 4, 5).double()
        present = torch.tensor([[True, True, False, False]])
        other = steps.clone()
        other[:, 2:] = 1e6
        assert torch.equal(attention(query, steps, present), attention(query, other, present))

    def test_how_recent_a_step_is_can_matter(self, attention):
        query, steps = torch.randn(1, 3).double(), torch.randn(1, 4, 5).double()
        present = torch.ones(1, 4, dtype=torch.bool)
        shuffled = steps.flip(1)
        torch.testing.assert_close(attention(query, steps, present), attention(query, shuffled, present))
        nn.init.normal_(attention.recency)
        assert not torch.allclose(attention(query, steps, present), attention(query, shuffled, present))


class TestDropout:
    @staticmethod
    def mask(
        seed: int = 0, step: int = 0, salt: int = 0, rows: int = 400, width: int = 250, rate: float = 0.3
    ) -> Tensor:
        dropout = Dropout(rate, salt)
        dropout.clock.copy_(torch.tensor([seed, step]))
        return dropout(torch.ones(rows, width, dtype=torch.float64))

    @pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.9])
    def test_drops_its_share_and_keeps_the_mean(self, rate):
        mask = self.mask(rate=rate)
        spread = math.sqrt(rate * (1 - rate) / mask.numel())
        assert abs((mask == 0).double().mean() - rate) < 4 * spread + 2**-16
        assert mask.max() == pytest.approx(1 / (1 - rate), rel=2**-14)
        assert abs(mask.mean() - 1) < 4 * spread / (1 - rate)

    @pytest.mark.parametrize("axis", [0, 1])
    def test_no_row_and_no_unit_is_favoured(self, axis):
        rate, dropped = 0.3, (self.mask() == 0).double().sum(axis)
        trials = 400 if axis == 0 else 250
        chi_square = ((dropped - rate * trials) ** 2 / (rate * (1 - rate) * trials)).sum()
        freedom = len(dropped)
        assert abs(chi_square - freedom) < 5 * math.sqrt(2 * freedom)

    @pytest.mark.parametrize("change", [{"seed": 1}, {"step": 1}, {"salt": 1}, {"seed": -1}, {"step": 2**40}])
    def test_seed_step_and_layer_give_independent_masks(self, change):
        assert abs(correlation(self.mask(), self.mask(**change))) < 4 / math.sqrt(100_000)

    @pytest.mark.parametrize("rows, units", [(1, 0), (0, 1), (0, 4), (1, 1), (7, 3)])
    def test_neighbours_are_independent(self, rows, units):
        mask = self.mask()
        shifted = mask[rows:, units:]
        assert abs(correlation(mask[: len(shifted), : shifted.shape[1]], shifted)) < 4 / math.sqrt(shifted.numel())

    def test_seed_and_step_are_not_interchangeable(self):
        assert not torch.equal(self.mask(seed=3, step=5), self.mask(seed=5, step=3))
        assert not torch.equal(self.mask(seed=3, step=5), self.mask(seed=4, step=4))

    @given(rows=st.integers(1, 20), width=st.integers(1, 20))
    @settings(max_examples=20, deadline=None)
    def test_depends_on_a_place_in_the_batch_not_on_its_size(self, rows, width):
        assert torch.equal(self.mask(rows=rows, width=width), self.mask(rows=20, width=20)[:rows, :width])

    def test_neither_reads_nor_moves_torch_s_generator(self):
        before = torch.get_rng_state()
        first = self.mask()
        assert torch.equal(before, torch.get_rng_state())
        torch.manual_seed(99)
        assert torch.equal(first, self.mask())

    def test_a_stack_drops_what_each_member_would_alone(self):
        dropout = Dropout(0.4, salt=2)
        clocks = torch.tensor([[5, 1], [6, 1], [5, 2]])
        inputs = torch.randn(3, 9, 13)
        together = vmap(lambda clock, one: functional_call(dropout, {"clock": clock}, (one,)))(clocks, inputs)
        alone = [functional_call(dropout, {"clock": clock}, (one,)) for clock, one in zip(clocks, inputs, strict=True)]
        assert torch.equal(together, torch.stack(alone))

    def test_is_the_identity_in_evaluation_and_at_rate_zero(self):
        inputs = torch.randn(3, 4)
        assert Dropout(0.5, 0).eval()(inputs) is inputs
        assert torch.equal(Dropout(0.0, 0)(inputs), inputs)

    def test_the_hash_is_splitmix64(self):
        golden, seed = -0x61C8864680B583EB, 1234567
        published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
        states = torch.tensor(seed) + golden * torch.arange(4)
        assert [value % 2**64 for value in mix(states).tolist()] == published


def correlation(one: Tensor, other: Tensor) -> float:
    """Pearson's correlation of two masks."""
    return torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].item()
