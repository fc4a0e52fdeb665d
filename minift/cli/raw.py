"""`minift expand` and `minift pretrain`: what text without labels can do for an encoder.

Proof    tests/cli/test_raw.py
"""

from pathlib import Path

from minift.cli import options
from minift.data.examples import texts_of
from minift.errors import MiniftError
from minift.files import atomic_folder

EPILOG = """\
example: new words, what they mean, and labels:
  minift expand minilm --text texts.txt --size 20 --out runs/wider
  minift pretrain runs/wider --text texts.txt --epochs 1 --out runs/read
  minift train --train my.csv --encoder runs/read --out runs/after
"""


def add(commands: options.Commands) -> None:
    """Give both commands their parsers."""
    help = "add the words of your texts that an encoder cuts to pieces worst to its vocabulary"
    expands, add = options.command(commands, "expand", expand, help)
    add("--size", type=int, required=True, metavar="N", help="most words that are added")
    help = "train an encoder on your own unlabelled texts, before it learns labels"
    pretrains, add = options.command(commands, "pretrain", pretrain, help)
    help = "guess hidden words (mlm), and with a throw-away head also from [CLS] (condenser)"
    add("--objective", choices=["mlm", "condenser"], default="mlm", help=help)
    help = "passes over the texts (default: as many as make 2000 steps)"
    add("--epochs", type=int, metavar="N", help=help)
    add("--batch-size", type=int, default=32, metavar="N", help="texts per step")
    add("--learning-rate", type=float, default=1e-4, metavar="X", help="highest rate")
    add("--seed", type=int, default=0, help=options.SEED)
    options.add_device(pretrains, learns=True)
    for parser in (expands, pretrains):
        add, parser.epilog = parser.add_argument, EPILOG
        add("encoder", help=options.ENCODER)
        add("--text", dest="raw", type=Path, required=True, metavar="FILE", help=options.POOL)
        add("--column", dest="text", help="column of the text (default: text or sentence)")
        add("--out", type=Path, required=True, help="folder of the new encoder")
        options.add_reading(parser, "format")


def _texts(arguments: options.Arguments) -> list[str]:
    from minift.data.files.texts import read_texts

    found = read_texts(arguments.raw, **options.reading(arguments))
    options.say(found.notes)
    return [text for example in found for text in texts_of(example)]


def expand(arguments: options.Arguments) -> None:
    """Write the encoder, and say which words it got."""
    from minift.pretraining.expand import expand, worst_cut
    from minift.pretraining.pretrain import load_whole, save_like

    out, encoder, texts = arguments.out, arguments.encoder, _texts(arguments)
    if out.exists():
        raise MiniftError(f"{out} is there already; choose another --out, or delete it")
    model, tokenizer, has_head = load_whole(encoder)
    words, whole = worst_cut(texts, tokenizer, arguments.size), model if has_head else model.bert
    wider = expand(whole, tokenizer, words)
    with atomic_folder(out) as folder:
        save_like(encoder, whole, wider, folder)
    before, after = (sum(map(len, t.words(texts))) for t in (tokenizer, wider))
    print(f"words added: {len(words):,}, the first {', '.join(words[:10])}")
    print(f"pieces of the text: {before:,} before, {after:,} now")


def pretrain(arguments: options.Arguments) -> None:
    """Train, and say what it brought."""
    from minift.pretraining.pretrain import pretrain_further

    names = ("objective", "epochs", "batch_size", "learning_rate", "seed")
    result = pretrain_further(
        arguments.encoder, _texts(arguments), arguments.out, device=options.device(arguments),
        progress=True, **{name: getattr(arguments, name) for name in names},
    )  # fmt: skip
    if result["new_head"]:
        options.say(["the encoder had no masked-LM head, so a new one was drawn"])
    first, last = result["first"], result["last"]
    print(
        f"{last['step']:,} steps, {result['passes']} passes over {result['texts']:,} texts; loss "
        f"on hidden words {first['masked_lm']:.3f} at first, {last['masked_lm']:.3f} at last"
    )
    print(f"next: {options.suggested('train', '--train', 'my.csv', '--encoder', arguments.out)}")
