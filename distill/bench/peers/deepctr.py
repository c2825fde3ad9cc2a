"""DeepCTR-Torch: its own DeepFM, `compile` and `fit`."""

from pathlib import Path

from distill.bench.job import Job
from distill.bench.rounds import Work
from distill.bench.rows import Rows


def further_student(job: Job, rows: Rows, folder: Path) -> Work:
    """Model, `compile`, `fit`; its regularization, on by default, is off as for everybody."""
    from deepctr_torch.inputs import DenseFeat, SparseFeat
    from deepctr_torch.models import DeepFM

    width = job.shape.embedding
    fields = [SparseFeat(f"id_{number}", height, width) for number, height in enumerate(rows.heights)]
    columns = [*fields, *(DenseFeat(f"number_{number}", 1) for number in range(rows.numbers.shape[1]))]
    values = [*rows.ids.numpy().T, *rows.numbers.numpy().T]
    inputs = {column.name: array for column, array in zip(columns, values, strict=True)}

    def work() -> None:
        model = DeepFM(columns, columns, dnn_hidden_units=job.shape.hidden, l2_reg_linear=0, l2_reg_embedding=0)
        model.compile("adam", "binary_crossentropy")
        model.fit(inputs, rows.label.numpy(), batch_size=job.batch, epochs=job.epochs, verbose=0)

    return work
