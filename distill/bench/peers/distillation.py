"""torchdistill: its training box, configured as in its examples, around the plain module of the loop."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, RandomSampler

from distill.bench.job import LEARNING_RATE, Job
from distill.bench.loop import plain
from distill.bench.rounds import Work
from distill.bench.rows import Rows

OUTPUT = {"is_from_teacher": False, "module_path": ".", "io": "output"}
LOSS = {
    "criterion": {"key": "BCEWithLogitsLoss", "kwargs": {}},
    "criterion_wrapper": {"key": "SimpleLossWrapper", "kwargs": {"input": OUTPUT, "target": {"uses_label": True}}},
    "weight": 1.0,
}


class Samples(Dataset):
    """A sample and its target, row by row, as the box expects them."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows.label)

    def __getitem__(self, row: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
        return (self.rows.ids[row], self.rows.numbers[row]), self.rows.label[row]


class OneInput(nn.Module):
    """The plain module, called with one input, as the box calls it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, sample: tuple[Tensor, Tensor]) -> Tensor:
        return self.module(*sample)


def further_student(job: Job, rows: Rows, folder: Path) -> Work:
    """Box, passes. Without a teacher, since nobody else has one here."""
    from torchdistill.core.training import get_training_box

    rows = rows.in_one_table()
    samples = {"rows": Samples(rows)}

    def work() -> None:
        student = OneInput(plain(job, rows))
        box = get_training_box(student, samples, _settings(job), torch.device("cpu"), None, False, 1)
        for epoch in range(box.num_epochs):
            box.pre_epoch_process(epoch=epoch)
            for sample, target, more in box.train_data_loader:
                box.pre_forward_process()
                box.post_forward_process(loss=box.forward_process(sample, target, more))
            box.post_epoch_process()

    return work


def _settings(job: Job) -> dict:
    loader = {"dataset_id": "rows", "sampler": {"class_or_func": RandomSampler}, "kwargs": {"batch_size": job.batch}}
    return {
        "num_epochs": job.epochs,
        "train_data_loader": loader,
        "model": {"forward_proc": "forward_batch_only"},
        "optimizer": {"key": "Adam", "kwargs": {"lr": LEARNING_RATE}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"cross_entropy": LOSS}}},
    }
