"""`minift active score`: score any texts with any model, in constant memory."""

from __future__ import annotations

from pathlib import Path

from minift.cli import options


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "score any texts with any model, in constant memory"
    parser = options.command(commands, "score", run, help, ranks=True)
    add = parser.add_argument
    add("model", type=Path, help="a project, or a run folder")
    add("file", type=Path, help=options.POOL)
    help = "the scores, as JSONL; an unfinished file is resumed"
    add("--out", type=Path, required=True, metavar="FILE", help=help)
    add("--seed", type=int, default=0, help=options.SEED)
    options.add_asking(parser)
    options.add_precision(parser, learns=False)
    options.add_reading(parser, "format", "text", "text_b")


def run(arguments: options.Arguments) -> None:
    """Write the scores."""
    from minift.label.score_files import score

    count = score(
        arguments.model,
        arguments.file,
        arguments.out,
        options.asking(arguments),
        seed=arguments.seed,
        device=options.device(arguments),
        precision=arguments.precision,
        progress=True,
        **options.reading(arguments),
    )
    print(f"{count:,} texts scored by {arguments.strategy}: {arguments.out}")
