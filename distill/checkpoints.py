"""Checkpoints: where the training of a cohort goes on after a kill, to the same bits."""

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from distill.files import read_json, whole_folder, write_json
from distill.learner import Learner
from distill.recorder import Recorder


class Checkpoints:
    """The checkpoints of one cohort; a new one is whole before the last one goes.

    Args:
        folder: theirs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, recorder: Recorder, learner: Learner, step: int) -> None:
        """Saves a training of which so many steps are done."""
        with whole_folder(self.folder / f"{step:010d}") as draft:
            save_file(learner.state(), draft / "learner.safetensors")
            write_json(draft / "failed.json", learner.failed)
            recorder.save(draft)
        for earlier in self._found()[:-1]:
            shutil.rmtree(earlier)

    def latest(self, recorder: Recorder) -> tuple[dict[str, Tensor], dict[int, int], int]:
        """The learner's state, who failed at which step, and the steps that are done; nothing where there is none."""
        found = self._found()
        if not found:
            return {}, {}, 0
        recorder.load(found[-1])
        failed = {int(place): step for place, step in read_json(found[-1] / "failed.json").items()}
        return load_file(found[-1] / "learner.safetensors"), failed, int(found[-1].name)

    def clear(self) -> None:
        """Removes them, when the training is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]" * 10))
