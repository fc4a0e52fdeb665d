"""Options that several commands of `minift active` share (`add_...`), and what is read of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from minift.cli import options

if TYPE_CHECKING:
    from minift.active.loop import Asking

PROJECT = "folder that minift active start has made"
STEPS = "optimizer steps of each training (default: the method's epochs)"
POOL = "texts: .txt with one per line, CSV, TSV, JSONL or a token file; labels are ignored"
STRATEGIES = "bald, batch_bald, entropy, margin, least_confidence or random"


def add_asking(parser: options.Parser) -> None:
    """Add how texts are chosen, and where; `asking` reads them."""
    worth = "; whether it is better than random on data like yours: minift active simulate"
    parser.add_argument("--strategy", default="bald", help=STRATEGIES + worth)
    add_mc_dropout(parser)
    options.add_device(parser)


def add_mc_dropout(parser: options.Parser) -> None:
    """Add how BALD and BatchBALD sample."""
    add = parser.add_argument
    add("--passes", type=int, default=10, metavar="N", help="passes of MC dropout")
    help = (
        "where dropout samples: wherever it acted in training, everywhere, in the K layers at the "
        "output, or in the head"
    )
    add("--layers", type=_layers, default="trained", metavar="trained|all|K|head", help=help)


def _layers(text: str) -> int | str:
    if text in ("trained", "all", "head"):
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'expected "trained", "all", "head" or a number, got {text!r}'
        ) from None


def asking(arguments: options.Arguments) -> Asking:
    """Return how texts are chosen."""
    from minift.active.loop import Asking

    return Asking(arguments.strategy, arguments.passes, arguments.layers)
