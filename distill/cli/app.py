"""The application: its verbs, and how every fault ends: in sentences and an exit code.

Exit codes: 0 done; 1 some students failed, the rest are good; 2 the recipe, the data or the call is wrong.
Nothing heavy is imported before a verb needs it, so that `distill --help` answers at once.
"""

import errno
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from distill.cli import (
    bench,
    compare,
    data,
    diagnose,
    doctor,
    exporting,
    losses,
    models,
    shipped,
    sweeps,
    teachers,
    verbs,
)
from distill.errors import DistillError
from distill.printable import printable

INTERRUPTED = 130
"""Exit code of a run that was stopped with Ctrl-C, as shells have it."""


class _Guarded(TyperGroup):
    """Turns what a user can mend into sentences; a traceback is left for what is our fault."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except DistillError as error:
            _end(2, *map(str, error.faults))
        except KeyboardInterrupt:
            _stopped()
        except SystemExit as end:
            if not isinstance(end.__context__, KeyboardInterrupt):
                raise
            _stopped()  # Lightning answers Ctrl-C with an exit of its own.
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            place = f" ({error.filename})" if error.filename else ""
            _end(2, f"The disk is full{place}. Free some space; the same command goes on from what is done.")


def _stopped() -> None:
    _end(INTERRUPTED, "Stopped. What is done is kept; the same command goes on from there.")


def _end(code: int, *sentences: str) -> None:
    for line in (line for sentence in sentences for line in sentence.split("\n")):
        print(printable(line), file=sys.stderr)
    raise typer.Exit(code) from None


def _app() -> typer.Typer:
    app = typer.Typer(
        name="distill",
        help="Distil one large ranking teacher into many small vertical students.",
        cls=_Guarded,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    recipes = (verbs.run, sweeps.sweep, verbs.plan, verbs.validate, verbs.show, compare.compare, verbs.ui, sweeps.sync)
    for verb in recipes:
        app.command()(verb)
    for verb in (exporting.export, exporting.consolidate, exporting.score):
        app.command()(verb)
    app.command()(teachers.teachers)
    app.command()(diagnose.diagnose)
    app.add_typer(data.app, name="data")
    app.add_typer(shipped.app, name="recipes")
    app.command()(models.models)
    app.command()(losses.losses)
    app.command(epilog=bench.NAMED)(bench.bench)
    app.command()(doctor.doctor)
    return app


def main() -> None:
    """Entry point of the command `distill`."""
    _app()()
