"""What every loss promises, whoever wrote it."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from distill.losses import LOSSES

ROWS, WIDTH, TASKS = 9, 4, 2
ALL = sorted(LOSSES)
COMPARING = [name for name in ALL if LOSSES[name].grouped or LOSSES[name].channel == "representation"]
BY_ROW = ["logit_distillation", "logit_mse", "hint_mse", "cosine"]


class Sides:
    """Both sides, groups and weights of two members; the rows 2 and 7 of member 0 and 0 of member 1 do not count."""

    def __init__(self, name: str, dtype: torch.dtype = torch.double, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.loss = LOSSES[name]
        width = TASKS if self.loss.channel == "logit" else WIDTH
        self.student, self.teacher = torch.randn(2, 2, ROWS, width, generator=generator).to(dtype)
        self.group = torch.randint(0, 3, (2, ROWS), generator=generator)
        self.weight = torch.rand(2, ROWS, generator=generator).to(dtype) + 0.5
        self.weight[0, [2, 7]] = self.weight[1, 0] = 0

    def __call__(self, student: Tensor | None = None, teacher: Tensor | None = None) -> Tensor:
        student = self.student if student is None else student
        teacher = self.teacher if teacher is None else teacher
        return self.loss.function(student, teacher, *self.others())

    def others(self) -> list[Tensor]:
        groups = [self.group] if self.loss.grouped else []
        return [*groups, self.weight] if groups or self.loss.channel == "representation" else []

    def gradient(self, student: Tensor | None = None) -> Tensor:
        """Of the mean over rows by weight, summed over members."""
        student = (self.student if student is None else student).clone().requires_grad_()
        loss = self(student)
        weight = self.weight.reshape(*self.weight.shape, *[1] * (loss.dim() - self.weight.dim()))
        return torch.autograd.grad((loss * weight).sum(), student)[0]

    def at(self, index: object) -> "Sides":
        """The same with some members or rows alone."""
        part = object.__new__(Sides)
        part.loss = self.loss
        for name in ("student", "teacher", "group", "weight"):
            setattr(part, name, getattr(self, name)[index])
        return part


@pytest.mark.parametrize("name", ALL)
class TestEvery:
    def test_gradient_is_that_of_the_values(self, name: str) -> None:
        sides = Sides(name).at(0)
        assert torch.autograd.gradcheck(sides, sides.student.requires_grad_())

    def test_one_number_a_row(self, name: str) -> None:
        sides = Sides(name)
        shape = sides.student.shape if sides.loss.channel == "logit" else sides.weight.shape
        assert sides().shape == shape
        assert sides.at(0)().shape == shape[1:]

    def test_no_gradient_reaches_the_teacher(self, name: str) -> None:
        sides = Sides(name)
        teacher = sides.teacher.clone().requires_grad_()
        sides(sides.student.requires_grad_(), teacher).sum().backward()
        assert teacher.grad is None

    def test_members_never_feel_each_other(self, name: str) -> None:
        sides = Sides(name)
        together, gradient = sides(), sides.gradient()
        for member in range(2):
            torch.testing.assert_close(sides.at(member)(), together[member])
            torch.testing.assert_close(sides.at(member).gradient(), gradient[member])

    def test_a_member_that_has_failed_stays_alone(self, name: str) -> None:
        sides = Sides(name)
        gradient = sides.gradient()
        sides.student[1] = torch.nan
        assert not sides()[1][1].isfinite().all()
        torch.testing.assert_close(sides.gradient()[0], gradient[0])

    def test_two_axes_of_members(self, name: str) -> None:
        sides = Sides(name)
        torch.testing.assert_close(sides.at((None, ...))(), sides()[None])

    def test_single_precision_is_enough(self, name: str) -> None:
        for scale in (1.0, 30.0):
            fine, coarse = Sides(name), Sides(name, torch.float32)
            torch.testing.assert_close(
                coarse(coarse.student * scale).double(), fine(fine.student * scale), rtol=1e-4, atol=1e-5
            )
            torch.testing.assert_close(
                coarse.gradient(coarse.student * scale).double(),
                fine.gradient(fine.student * scale),
                rtol=1e-3,
                atol=1e-4,
            )

    def test_the_source_is_named(self, name: str) -> None:
        source = LOSSES[name].source
        assert any(str(year) in source for year in range(1960, 2027))
        assert len(source) > 30

    def test_the_name_is_the_functions(self, name: str) -> None:
        assert LOSSES[name].function.__name__ == name


@pytest.mark.parametrize("name", COMPARING)
class TestComparing:
    @pytest.fixture(autouse=True)
    def member(self, name: str) -> Iterator[None]:
        self.sides = Sides(name).at(0)
        self.there = self.sides.weight > 0
        yield

    def test_rows_that_do_not_count_are_not_there(self) -> None:
        """The others cost what they cost without them, whatever stands in them."""
        alone = self.sides.at(self.there)
        for rubbish in (0.0, 1e6, torch.nan, torch.inf):
            self.sides.student[~self.there] = rubbish
            self.sides.teacher[~self.there] = rubbish
            loss, gradient = self.sides(), self.sides.gradient()
            torch.testing.assert_close(loss[self.there], alone())
            torch.testing.assert_close(gradient[self.there], alone.gradient())
            assert loss[~self.there].abs().max() == 0
            assert gradient[~self.there].abs().max() == 0

    def test_nothing_at_all_costs_nothing(self) -> None:
        self.sides.weight[:] = 0
        assert self.sides().abs().max() == 0
        assert self.sides.gradient().abs().max() == 0

    def test_one_row_teaches_nothing_about_others(self) -> None:
        one = self.sides.at(slice(0, 1))
        assert one().isfinite().all()
        if one.loss.function.__name__ not in ("hint_mse", "cosine"):
            assert one.gradient().abs().max() == pytest.approx(0, abs=1e-3)

    def test_the_unit_of_weights_does_not_count(self) -> None:
        loss = self.sides()
        self.sides.weight *= 7
        torch.testing.assert_close(self.sides(), loss)

    def test_autocast_changes_nothing(self, name: str) -> None:
        sides = Sides(name, torch.float32)
        student = sides.student.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            lowered = sides(student)
            assert sides(student.bfloat16(), sides.teacher.bfloat16()).dtype == torch.float32
        plain = sides(sides.student.requires_grad_())
        torch.testing.assert_close(lowered, plain)
        both = (torch.autograd.grad(loss.sum(), side)[0] for loss, side in ((lowered, student), (plain, sides.student)))
        torch.testing.assert_close(*both)

    def test_rows_that_are_all_the_same_have_a_gradient(self) -> None:
        """A student that has collapsed, onto zero or elsewhere: no division by a norm that has vanished."""
        for constant in (0.0, 1.0):
            gradient = self.sides.gradient(torch.full_like(self.sides.student, constant))
            assert gradient.isfinite().all()


@pytest.mark.parametrize("name", [name for name in ALL if name != "contrastive"])  # which goes on parting the rows
def test_equal_sides_are_at_rest(name: str) -> None:
    sides = Sides(name)
    assert sides.gradient(sides.teacher).abs().max() < 1e-6 < sides.gradient().abs().max()


@pytest.mark.parametrize("name", [name for name in ALL if name != "rkd_angle"])  # which samples pairs by their order
def test_the_order_of_rows_does_not_count(name: str) -> None:
    sides, order = Sides(name).at(0), torch.randperm(ROWS)
    torch.testing.assert_close(sides.at(order)(), sides()[order])


@pytest.mark.parametrize("name", BY_ROW)
def test_a_loss_of_single_rows_may_be_split(name: str) -> None:
    sides = Sides(name).at(0)
    parts = [sides.at(slice(0, 4))(), sides.at(slice(4, None))()]
    torch.testing.assert_close(torch.cat(parts), sides())
