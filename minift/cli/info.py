"""`minift info`: what an encoder or a run is made of, and what methods there are.

Claim    The table of methods is that of minift/methods/recipes.py: every word, its slot, its paper.
Proof    tests/cli/test_main.py
"""

from minift.cli import options
from minift.errors import MiniftError
from minift.methods.recipes import WORDS


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "sizes of an encoder or a run, what each method would train, and a table of methods"
    _, add = options.command(commands, "info", run, help)
    add("encoder", nargs="?", help=f"{options.ENCODER}; or a run folder")
    help = "list the words of --method, with their papers"
    add("--methods", action="store_true", help=help)


def run(arguments: options.Arguments) -> None:
    """Print the description, the table, or both."""
    from minift.runs.describe import describe

    if arguments.encoder is None and not arguments.methods:
        raise MiniftError("name an encoder or a run folder, e.g. minift info minilm, or --methods")
    shown = [] if arguments.encoder is None else [describe(arguments.encoder)]
    shown += [method_table()] if arguments.methods else []
    print("\n\n".join(shown))


def method_table() -> str:
    """Return one line per word of the method table."""
    rows = [("word", "slot", "paper", "what it does")]
    rows += [(name, word.slot, word.paper or "-", word.help) for name, word in WORDS.items()]
    widths = [max(map(len, column)) for column in zip(*rows)][:-1]
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]
    more = "Join words that fill different slots with +, e.g. --method bitfit+adaptive"
    return "\n".join([*lines, more])
