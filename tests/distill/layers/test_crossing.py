"""Layers that cross vectors, against loops over rows and pairs, and closed forms."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from distill.fleet import Fleet
from distill.layers import (
    AttentionPooling,
    Cross,
    FactorizationBlock,
    FlatInteraction,
    Interactions,
    InterFormer,
    LayerNorm,
    MaskNet,
    Mixing,
    MultiHead,
    WukongLayer,
)
from distill.layers.interformer import CLS, Attending, Denoise, PersonalizedFFN, SelfGate, summarised

ROWS, COUNT, WIDTH = 5, 4, 6


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(ROWS, COUNT, WIDTH, dtype=torch.float64)


def shaken(module: nn.Module) -> nn.Module:
    """In fp64, with no weight left at a value that could hide a mistake."""
    for weight in module.double().parameters():
        nn.init.normal_(weight, std=0.5)
    return module


class TestFactorizationBlock:
    @pytest.mark.parametrize("attentive", [False, True])
    def test_is_all_pairs_of_vectors_compressed(self, tokens, attentive):
        """Oracle: the Gram matrix of each row, pair by pair, times Y."""
        block = shaken(FactorizationBlock(COUNT, WIDTH, 3, 2, (7,), attentive=attentive))
        found = block(tokens)
        for row in range(ROWS):
            gram = torch.tensor([[sum(a * b) for b in tokens[row]] for a in tokens[row]], dtype=torch.float64)
            projection = block._projection(tokens)[row if attentive else slice(None)].reshape(COUNT, 2)
            hidden = block.norm((gram @ projection).reshape(1, -1))
            torch.testing.assert_close(found[row], block.output(block.mlp(hidden)).view(3, WIDTH))

    def test_static_y_is_the_same_for_all_rows_and_attentive_y_is_not(self, tokens):
        static = shaken(FactorizationBlock(COUNT, WIDTH, 3, 2, (7,), attentive=False))
        attentive = shaken(FactorizationBlock(COUNT, WIDTH, 3, 2, (7,), attentive=True))
        assert static._projection(tokens).shape == (1, COUNT, 2)
        assert not torch.allclose(*attentive._projection(tokens)[:2])


@pytest.mark.parametrize("inputs", [COUNT, 5])
def test_a_wukong_layer_is_its_blocks_and_what_it_carries_over(inputs):
    layer, tokens = shaken(WukongLayer(inputs, WIDTH, 3, 2, 2, (7,))), torch.randn(ROWS, inputs, WIDTH).double()
    crossed = torch.cat([layer.factorize(tokens), layer.compress.weight @ tokens], -2)
    carried = tokens if inputs == 5 else layer.carry.weight @ tokens
    expected = functional.layer_norm(crossed + carried, (WIDTH,), layer.norm.weight, layer.norm.bias)
    torch.testing.assert_close(layer(tokens), expected)


class TestAcrossLayers:
    def stack(self, heads: int | None) -> Interactions:
        torch.manual_seed(1)
        layers = [WukongLayer(COUNT if place == 0 else 5, WIDTH, 3, 2, 2, (7,)) for place in range(3)]
        return Interactions(layers, WIDTH, heads)

    def test_a_fresh_one_is_wukong_to_the_last_bit(self, tokens):
        plain, across = self.stack(None), self.stack(2)
        assert torch.equal(plain(tokens.float()), across(tokens.float()))

    def test_a_trained_one_hears_every_earlier_layer(self, tokens):
        """The third layer's attention reads the first's input and the second's, not its own."""
        stack, heard = shaken(self.stack(2)), []
        stack.across[1].register_forward_pre_hook(lambda module, inputs: heard.extend(inputs))
        crossed = stack(tokens)
        queries, seen = heard
        first = stack.layers[0](tokens)
        second = stack.layers[1](first) + stack.across[0](first, [tokens])
        torch.testing.assert_close(queries, second)
        assert [one.shape[-2] for one in seen] == [COUNT, 5]
        torch.testing.assert_close(crossed, stack.layers[2](second) + stack.across[1](second, [tokens, first]))

    def test_its_output_projection_learns_from_the_first_step(self, tokens):
        stack = self.stack(2).double()
        stack(tokens).square().mean(0).pow(2).sum().backward()
        assert all(one.attention.output.weight.grad.any() for one in stack.across)


def test_masknet_is_its_blocks_row_by_row():
    net, inputs = shaken(MaskNet(WIDTH, (4, 3), reduction=0.5)), torch.randn(ROWS, WIDTH).double()
    assert net.masks[0].aggregate.out_features == 3
    hidden = functional.layer_norm(inputs, (WIDTH,), net.normal.weight, net.normal.bias)
    for mask, layer, norm in zip(net.masks, net.layers, net.norms, strict=True):
        between = (inputs @ mask.aggregate.weight.T + mask.aggregate.bias).relu()
        masked = hidden * (between @ mask.project.weight.T + mask.project.bias)
        width = norm.weight.shape
        hidden = functional.layer_norm(masked @ layer.weight.T + layer.bias, width, norm.weight, norm.bias).relu()
    torch.testing.assert_close(net(inputs), hidden)


class TestMultiHead:
    def test_agrees_with_torch(self, tokens):
        ours, theirs = MultiHead(WIDTH, 2).double(), nn.MultiheadAttention(WIDTH, 2, bias=False, batch_first=True)
        theirs.double().in_proj_weight.data = torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        theirs.out_proj.weight.data = ours.output.weight.data
        keys, present = torch.randn(ROWS, 7, WIDTH).double(), torch.rand(ROWS, 7) < 0.6
        present[:, 0] = True
        expected, _ = theirs(tokens, keys, keys, key_padding_mask=~present)
        torch.testing.assert_close(ours(tokens, keys, present), expected)

    def test_a_row_without_keys_gets_zeros(self, tokens):
        found = MultiHead(WIDTH, 2).double()(tokens, tokens, torch.zeros(ROWS, COUNT, dtype=torch.bool))
        assert not found.any()

    def test_pooling_does_not_care_for_the_order(self, tokens):
        pool = AttentionPooling(WIDTH, 2, 3).double()
        torch.testing.assert_close(pool(tokens), pool(tokens.flip(-2)))


class TestInterFormer:
    def test_each_row_applies_a_matrix_of_its_own_to_its_steps(self, tokens):
        personal, summary = shaken(PersonalizedFFN(2, WIDTH)), torch.randn(ROWS, 2, WIDTH).double()
        for row, found in enumerate(personal(summary, tokens)):
            matrix = (personal.matrix.weight @ summary[row].flatten() + personal.matrix.bias).view(WIDTH, WIDTH)
            torch.testing.assert_close(found, tokens[row] @ matrix / WIDTH**0.5)

    def test_gate_and_mask_are_their_formulas(self, tokens):
        gate, mask = shaken(SelfGate(WIDTH)), shaken(Denoise(WIDTH))
        torch.testing.assert_close(gate(tokens), (gate.linear(tokens)).sigmoid() * tokens)
        first, _, second = mask.mask
        torch.testing.assert_close(mask(tokens), mask.output(tokens * second(functional.silu(first(tokens)))))

    def former(self, steps: int) -> InterFormer:
        newest = list(range(min(2, steps)))
        counts = [COUNT, 3, 3]
        layers = [FlatInteraction(Cross((n + summarised(newest)) * WIDTH, 1), 3, WIDTH) for n in counts]
        blocks = [Attending(WIDTH, 2) for _ in counts[1:]]
        return shaken(InterFormer(Interactions(layers, WIDTH), counts, blocks, newest, WIDTH, 2))

    def test_no_step_that_is_absent_is_heard(self, tokens):
        former, steps = self.former(5), torch.randn(ROWS, 5, WIDTH).double()
        present = torch.arange(5) < torch.tensor([0, 1, 2, 4, 5])[:, None]
        changed = steps + 10 * torch.randn_like(steps) * ~present[..., None]
        torch.testing.assert_close(former(tokens, steps, present), former(tokens, changed, present), rtol=0, atol=1e-12)

    def test_every_step_that_is_present_is_heard_in_full(self, tokens):
        """The oldest one too, and through the steps themselves in the later layers."""
        former, steps = self.former(5), torch.randn(ROWS, 5, WIDTH, dtype=torch.float64, requires_grad=True)
        former(tokens, steps, torch.ones(ROWS, 5, dtype=torch.bool)).square().sum().backward()
        assert (steps.grad.abs().sum(-1) > 0).all()

    def test_features_speak_to_the_steps_before_these_are_summed_up_again(self, tokens):
        former, steps, seen = self.former(5), torch.randn(ROWS, 5, WIDTH).double(), []
        former.histories[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        for features in (tokens, tokens + 1):
            former(features, steps, torch.ones(ROWS, 5, dtype=torch.bool))
        assert ((seen[0] - seen[1])[:, CLS:].abs().sum(-1) > 0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: LayerNorm(WIDTH, axes=2),
        lambda: Mixing(COUNT, 3),
        lambda: WukongLayer(COUNT, WIDTH, 3, 2, 2, (7,), attentive=True),
        lambda: FlatInteraction(MaskNet(COUNT * WIDTH, (7,)), 3, WIDTH),
    ],
)
def test_runs_on_a_stack_as_it_is(make):
    members = [shaken(make()) for _ in range(3)]
    inputs = torch.randn(3, ROWS, COUNT, WIDTH).double()
    alone = torch.stack([member(one) for member, one in zip(copy.deepcopy(members), inputs, strict=True)])
    fleet = Fleet(members).double()
    assert fleet.direct(inputs)
    torch.testing.assert_close(fleet(inputs), alone)
