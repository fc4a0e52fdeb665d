"""Build and check the tutorials: python tutorials/build.py run|check|site [NAMES]

Claim    tutorial.py is the only file that a person edits; what readers see is made from it, and
         a check that takes seconds says whether it still is.
Proof    tests/tutorials/test_build.py

    run     tutorial.py -> tutorial.ipynb, executed, with outputs and plots
    check   the notebooks are their sources, and the prose is true (rules.py says how)
    site    the notebooks as one folder of HTML pages that needs nothing else
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))  # this checkout's minift, installed or not

try:
    from _build.cells import TutorialError, find
    from _build.rules import check, check_readme
except ModuleNotFoundError as error:
    sys.exit(f'{error}; install what builds tutorials: pip install -e ".[tutorials]"')


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run a command; return the exit code: 0 done, 1 something to fix, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        tutorials = find(root, options.names)
        if options.command == "run":
            return _run(tutorials, None if options.no_limit else options.limit, options.text)
        if options.command == "check":
            complaints = [c for tutorial in tutorials for c in check(tutorial, root.parent)]
            if not options.names:
                complaints += check_readme(root, tutorials)
            print(*complaints, sep="\n", end="\n" if complaints else "")
            print(f"{len(tutorials)} tutorials checked: {len(complaints) or 'nothing'} to fix")
            return 1 if complaints else 0
        from _build.site import write_site

        print(f"open {write_site(tutorials, root, Path(options.out or root / 'site'))}")
        return 0
    except TutorialError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(tutorials, limit: float | None, text_only: bool) -> int:
    from _build.execute import build, renew_text

    failed = 0
    for tutorial in tutorials:
        try:
            built = renew_text(tutorial) if text_only else build(tutorial, limit)
        except TutorialError as error:  # the others can still be built
            print(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        print(
            f"{tutorial.name}: {built.processor_seconds:.0f} processor seconds, "
            f"{built.seconds:.0f} s, {'changed' if built.changed else 'same as before'}",
            flush=True,
        )
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="run|check|site")
    for name, text in (
        ("run", "execute tutorials and write their notebooks"),
        ("check", "compare sources, notebooks, library and prose; runs nothing"),
        ("site", "write the HTML pages"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("names", nargs="*", metavar="NAME", help="03 or 03_few_labels; all")
        if name == "run":
            command.add_argument(
                "--limit",
                type=float,
                default=120,
                metavar="SECONDS",
                help="most seconds of a notebook, by the clock and of processor time (default 120)",
            )
            command.add_argument("--no-limit", action="store_true", help="let it take its time")
            command.add_argument(
                "--text", action="store_true", help="only texts changed: keep the outputs"
            )
        if name == "site":
            command.add_argument("--out", metavar="FOLDER", help="default tutorials/site")
    return parser


if __name__ == "__main__":
    sys.exit(main())
