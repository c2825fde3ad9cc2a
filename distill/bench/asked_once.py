"""A program that loads one exported student, asks it about one raw row, and ends."""

import sys
from pathlib import Path

from distill.data.streamed import RawRows
from distill.serving import Export

if __name__ == "__main__":
    student = Export(Path(sys.argv[1]))
    frame = next(RawRows(Path(sys.argv[2])).blocks(list(student.columns()), 1))
    print(student.score(frame).probability)
