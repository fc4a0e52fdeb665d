"""A tokenizer from files of strangers: they are judged first, then given to `tokenizers`.

Claim    A folder gives the tokenizer that transformers would read there, with the tokens that were
         added to it, or one MiniftError that names all that is not BERT's. No file can ask for
         more time or memory than those of real checkpoints.
Differs  Where tokenizer_config.json does not say whether to lower-case, tokenizer.json is
         believed; transformers 5 would lower-case. A vocab.txt with capital letters that nothing
         says how to case is lower-cased as there, with a warning.
Proof    tests/checkpoints/test_tokenizer.py, tests/safety/test_tokenizers.py
"""

import json
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as short
from typing import Any

import tokenizers
from tokenizers import AddedToken, models, normalizers, pre_tokenizers

from minift.checkpoints.limits import LARGEST_TOKENIZER, LONGEST_WORD, read_json, read_limited
from minift.errors import MiniftError, require

# Others could double a text at each of a hundred stages, or look for a pattern for hours.
_PARTS = {
    "normalizer": ("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Strip",
                   "StripAccents"),
    "pre_tokenizer": ("BertPreTokenizer", "CharDelimiterSplit", "Digits", "Punctuation",
                      "UnicodeScripts", "Whitespace", "WhitespaceSplit"),
}  # fmt: skip
SPECIAL_TOKENS = {f"{n}_token": f"[{n.upper()}]" for n in ("pad", "unk", "cls", "sep", "mask")}
# Classes that cut as BERT's; the last two do what tokenizer.json says.
_CLASSES = re.compile(
    "(Bert|DistilBert|Electra)Tokenizer(Fast)?|PreTrainedTokenizerFast|TokenizersBackend"
)
# Keys of tokenizer_config.json, and what the library's BertNormalizer calls them.
_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def read_backend(folder: Path) -> tuple[tokenizers.Tokenizer, Path, int | None]:
    """Read tokenizer.json if there is one, else vocab.txt; tokenizer_config.json holds for both.

    Returns the library's tokenizer, its file, and the longest input in pieces, if it is stated.
    """
    config, settings, longest = _read_settings(folder)
    if (file := folder / "tokenizer.json").is_file():
        backend, content = _read_tokenizer(file)
        stored = content.get("normalizer") or {}
        if stored.get("type") == "BertNormalizer":
            backend.normalizer = _normalizer({**stored, **settings})
    elif (file := folder / "vocab.txt").is_file():
        try:
            text = read_limited(file, LARGEST_TOKENIZER)
        except (OSError, UnicodeDecodeError) as error:
            raise MiniftError(f"cannot read the vocabulary {file}: {error}") from error
        # `str.splitlines` would also cut at U+2028, which is a token
        backend = backend_of(pieces := text.removesuffix("\n").split("\n"), settings)
        cased = [piece for piece in pieces if re.search("[A-Z]", piece) and piece[0] != "["]
        if cased and "lowercase" not in settings:
            warnings.warn(
                f"{file}: pieces with capital letters: {len(cased)} ({short(cased[0])}), but "
                'texts are lower-cased: put {"do_lower_case": false} into tokenizer_config.json',
                stacklevel=1,
            )
    else:
        there = ", ".join(sorted(entry.name for entry in folder.glob("*"))) or "nothing"
        raise MiniftError(
            f"no tokenizer in {folder}: expected tokenizer.json or vocab.txt, found {there}; copy "
            "it, with tokenizer_config.json, from the encoder that this was trained from"
        )
    _add_tokens(backend, folder, config)
    return backend, file, longest


def _add_tokens(backend: tokenizers.Tokenizer, folder: Path, config: dict[str, Any]) -> None:
    """Add the tokens that the vocabulary got after pretraining; refuse other ids than theirs."""
    have = {token.content for token in backend.get_added_tokens_decoder().values()}
    file, decoder = folder / "added_tokens.json", config.get("added_tokens_decoder") or {}
    try:
        more = [token for key, token in config.items() if key.endswith("_token")]
        for key in ("extra_special_tokens", "additional_special_tokens"):
            tokens = config.get(key) or ()
            more += tokens.values() if isinstance(tokens, dict) else tokens
        words = [_content(token) for token in more]
        found = [(int(number), AddedToken(**token)) for number, token in decoder.items()]
        for word, number in read_json(file).items() if file.is_file() and not decoder else ():
            alone = word in words
            found.append((int(number), AddedToken(word, special=alone, normalized=not alone)))
        found.sort(key=lambda pair: pair[0])
        found += [(-1, AddedToken(word, special=True)) for word in words if isinstance(word, str)]
    except (TypeError, AttributeError, ValueError) as error:
        raise MiniftError(f"{folder}: its added tokens cannot be read: {error}") from error
    for number, token in found:
        if token.content not in have:
            (backend.add_special_tokens if token.special else backend.add_tokens)([token])
            have.add(token.content)
        if number not in (-1, got := backend.token_to_id(token.content)):
            raise MiniftError(
                f"{folder}: {short(token.content)} gets the id {got} after the other pieces, but "
                f"{'tokenizer_config.json' if decoder else file.name} says {number}"
            )


def _content(token: Any) -> Any:
    """Return a token that may stand with its flags."""
    return token["content"] if isinstance(token, dict) and "content" in token else token


def backend_of(tokens: Iterable[str], settings: dict[str, Any]) -> tokenizers.Tokenizer:
    """Build the library's tokenizer of tokens in the order of their ids; of two alike, the last."""
    vocabulary = {token: index for index, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = _normalizer(settings)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return backend


def _normalizer(settings: dict[str, Any]) -> normalizers.BertNormalizer:
    return normalizers.BertNormalizer(
        clean_text=settings.get("clean_text", True),
        handle_chinese_chars=settings.get("handle_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),  # None: as `lowercase`
        lowercase=settings.get("lowercase", True),
    )


def _read_settings(folder: Path) -> tuple[dict[str, Any], dict[str, bool], int | None]:
    """Return what is said of special tokens, and of the normalizer, and the longest input."""
    model, special, config = (
        read_json(file) if (file := folder / name).is_file() else {}
        for name in ("config.json", "special_tokens_map.json", "tokenizer_config.json")
    )
    if not config.get("added_tokens_decoder"):  # which holds them all
        config = {**special, **config}
    config.setdefault("tokenizer_class", model.get("tokenizer_class"))
    kind, faults = str(config["tokenizer_class"] or "BertTokenizer"), list[str]()
    for key, value in {**SPECIAL_TOKENS, "truncation_side": "right", "auto_map": None}.items():
        if (got := _content(config.get(key))) not in (None, value):
            faults.append(f"{key} is {short(got)}, expected {value}")
    if not _CLASSES.fullmatch(kind):
        faults = [f"tokenizer_class is {short(kind)}, expected BertTokenizer", *faults]
    file = folder / "tokenizer_config.json"
    if faults:
        raise MiniftError(f"{file}: {'; '.join(faults)}. minift reads only BERT's tokenizer")
    for name in _SETTINGS:
        got = config.get(name)
        require(isinstance(got, bool | None), f"{file}: {name}", got, "true or false")
    longest = config.get("model_max_length")
    # transformers writes 10**30 where it knows of no limit, sometimes as 1e30
    good = longest is None or (type(longest) in (int, float) and longest >= 3)
    require(good, f"{file}: model_max_length", longest, "a number from 3 up")
    stated = _SETTINGS if "Bert" in kind or "Electra" in kind else {}
    settings = {ours: config[key] for key, ours in stated.items() if config.get(key) is not None}
    return config, settings, None if longest is None else int(min(longest, 2**62))


def _read_tokenizer(file: Path) -> tuple[tokenizers.Tokenizer, dict[str, Any]]:
    """Return the tokenizer of a tokenizer.json, and the content of the file."""
    try:
        text = read_limited(file, LARGEST_TOKENIZER)
        content = json.loads(text)
        _refuse_what_grows(content)
        return tokenizers.Tokenizer.from_str(text), content
    except BaseException as error:  # the library raises Exception, its Rust a PanicException
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise MiniftError(f"{file} is not a readable tokenizer: {error}") from error


def _refuse_what_grows(content: object) -> None:
    """Raise ValueError for a tokenizer that could take any time, or make a text any longer."""
    if not isinstance(content, dict):
        raise ValueError(f"expected an object, got {type(content).__name__}")
    for part, known in _PARTS.items():
        stages = [content.get(part)]
        while stages:
            stage = stages.pop()
            kind = stage.get("type") if isinstance(stage, dict) else stage
            if kind == "Sequence" and isinstance(stage, dict):
                lists = [value for value in stage.values() if isinstance(value, list)]
                stages += [inner for inside in lists for inner in inside]
            elif kind is not None and kind not in known:
                raise ValueError(f"{part} {kind!r}, expected {', '.join(known)} or Sequence")
    model = content.get("model")
    letters = model.get("max_input_chars_per_word", 0) if isinstance(model, dict) else 0
    if isinstance(letters, int) and letters > LONGEST_WORD:
        raise ValueError(f"max_input_chars_per_word is {letters}, at most {LONGEST_WORD} expected")
