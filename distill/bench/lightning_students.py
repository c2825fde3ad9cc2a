"""Students in Lightning as its documentation shows it: a module, a DataLoader, a logger and a Trainer for each of them.

A program: `python -m distill.bench.lightning_students FILE`. It imports nothing of ours but the plain module.
"""

import logging
import sys
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import MLFlowLogger
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset

from distill.bench.plain import DeepFM

LEARNING_RATE = 1e-3


class Student(LightningModule):
    """One student; what it learns from is the label, or the mean of the label and the teacher's probability."""

    def __init__(self, height: int, shape: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = DeepFM(height, shape["fields"], shape["numeric"], shape["embedding"], shape["hidden"])

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        ids, numbers, target = batch
        loss = binary_cross_entropy_with_logits(self.model(ids, numbers), target)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE, fused=True)


def train(given: dict[str, Any]) -> None:
    """Trains two students of each vertical, one after another."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for rows in given["verticals"]:
        for target in ((rows["label"] + rows["score"]) / 2, rows["label"]):
            samples = DataLoader(TensorDataset(rows["ids"], rows["numbers"], target), given["batch"], shuffle=True)
            trainer = Trainer(
                accelerator="cpu",
                max_epochs=1,
                logger=MLFlowLogger("students", tracking_uri="sqlite:///mlflow.db"),
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(Student(rows["heights"][0], given["shape"]), samples)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(torch.load(sys.argv[1]))
