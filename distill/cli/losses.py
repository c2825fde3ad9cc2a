"""`distill losses`: what a student may be compared with its teacher by."""

from distill.cli import arguments
from distill.cli.tables import emit


def losses(json: arguments.Json = None) -> None:
    """List the losses that a teacher may be heard through, with their channel and their source."""
    from distill.losses import LOSSES

    rows = [{"name": name, "channel": loss.channel, "source": loss.source} for name, loss in LOSSES.items()]
    emit({"losses": rows}, json)
