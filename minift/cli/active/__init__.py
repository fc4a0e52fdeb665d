"""`minift active ...`: label with a model that says what to label next.

Claim    Each command says what it did and what to do next; all it knows is in the project folder.
Proof    tests/cli/test_active.py
"""

from minift.cli.active import project, simulate
from minift.cli.options import Commands

EPILOG = """\
a first session:
  minift active start --pool texts.txt --labels pos,neg --encoder minilm --out proj
  minift active next proj -n 20        the first texts, drawn at random, in proj/batches/001.csv
  minift active label proj             label them here, or fill in the file and then:
  minift active import proj proj/batches/001.csv
  minift active next proj -n 20        from now on the texts that should teach the model most
  minift active status proj            how many labels, how balanced, whether to stop
  minift active train proj             a run folder for minift predict

Everything is in the folder proj; any command can be killed and given again.
"""


def add(commands: Commands) -> None:
    """Give the command its parser, and each of its own commands theirs."""
    help = "label with a model that says what to label next"
    parser = commands.add_parser("active", help=help, description=help, epilog=EPILOG)
    own = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for group in (project, simulate):
        group.add(own)
