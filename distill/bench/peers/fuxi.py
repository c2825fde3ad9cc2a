"""FuxiCTR: its data loader, layers and `fit`; DeepFM as in its model zoo, which its package leaves out."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from distill.bench.job import LEARNING_RATE, Job
from distill.bench.rounds import Work
from distill.bench.rows import Rows

if TYPE_CHECKING:
    from fuxictr.features import FeatureMap
    from fuxictr.pytorch.models import BaseModel

LABEL = "label"
FEW = 256
"""Rows of the validation at the end, without which `fit` does not return."""


def further_student(job: Job, rows: Rows, folder: Path) -> Work:
    """Loader, model, `fit`; the rows lie ready as the file that its loader reads."""
    from fuxictr.pytorch.dataloaders import RankDataLoader

    features = _features(rows, folder)
    columns = dict(zip(features.features, [*rows.ids.numpy().T, *rows.numbers.numpy().T], strict=True))
    columns[LABEL] = rows.label.numpy()
    np.savez(folder / "train.npz", **columns)
    np.savez(folder / "few.npz", **{name: column[:FEW] for name, column in columns.items()})
    (folder / features.dataset_id).mkdir()

    def work() -> None:
        files = {"train_data": str(folder / "train.npz"), "valid_data": str(folder / "few.npz")}
        train, few = RankDataLoader(features, "train", **files, batch_size=job.batch, num_workers=0)
        _deepfm(job, features, folder).fit(train, epochs=job.epochs, validation_data=few)

    return work


def _features(rows: Rows, folder: Path) -> "FeatureMap":
    from fuxictr.features import FeatureMap

    features = FeatureMap("rows", str(folder))
    for number, height in enumerate(rows.heights):
        features.features[f"id_{number}"] = {"type": "categorical", "source": "", "vocab_size": height}
    for number in range(rows.numbers.shape[1]):
        features.features[f"number_{number}"] = {"type": "numeric", "source": ""}
    features.labels, features.num_fields = [LABEL], len(features.features)
    features.set_column_index()
    return features


def _deepfm(job: Job, features: "FeatureMap", folder: Path) -> "BaseModel":
    from fuxictr.pytorch.layers import FactorizationMachine, FeatureEmbedding, MLP_Block
    from fuxictr.pytorch.models import BaseModel

    class DeepFM(BaseModel):
        def __init__(self) -> None:
            super().__init__(
                features, metrics=["logloss"], monitor="logloss", monitor_mode="min", verbose=0, model_root=str(folder)
            )
            features.default_emb_dim = job.shape.embedding
            self.embedding_layer = FeatureEmbedding(features, job.shape.embedding)
            self.fm = FactorizationMachine(features)
            self.mlp = MLP_Block(features.sum_emb_out_dim(), list(job.shape.hidden), output_dim=1)
            self.compile("adam", "binary_crossentropy", LEARNING_RATE)
            self.reset_parameters()
            self.model_to_device()

        def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            inputs = self.get_inputs(inputs)
            embedded = self.embedding_layer(inputs)
            logit = self.fm(inputs, embedded) + self.mlp(embedded.flatten(start_dim=1))
            return {"y_pred": self.output_activation(logit)}

    return DeepFM()
