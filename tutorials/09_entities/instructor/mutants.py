"""Wrong solutions that people write: each must lose its own check, in its own words."""

from _grading.mutants import Mutant

B = "solution_b.py"

MUTANTS = [
    # --- task 1
    Mutant(
        "nobody closes an entity at the end",
        'enumerate([*tags, "O"])',
        "enumerate(tags)",
        loses="check_spans",
        says="the last entity of the sentence is missing",
    ),
    Mutant(
        "B- continues, as I- does",
        'if kind and (letter != "I" or type_ != kind):',
        "if kind and type_ != kind:",
        loses="check_spans",
        says="neighbours of one type become one entity",
    ),
    Mutant(
        "the end is the last word",
        "found.append((kind, start, i))",
        "found.append((kind, start, i - 1))",
        loses="check_spans",
        says="return the word behind it",
    ),
    Mutant(
        "a tag is split at each hyphen",
        'letter, _, type_ = tag.partition("-")',
        'letter, type_ = (tag.split("-") + [""])[:2]',
        loses="check_spans",
        says="a type is cut at its own hyphen",
    ),
    Mutant(
        "strict and not strict exchanged",
        '(letter == "I" and not strict)',
        '(letter == "I" and strict)',
        loses="check_stray",
        says="spans: strict and conlleval are the wrong way round",
    ),
    Mutant(
        "there is one custom only, that of conlleval",
        '(letter == "I" and not strict)',
        'letter == "I"',
        loses="check_stray",
        says="reads a stray I- as conlleval does, also if strict",
    ),
    Mutant(
        "a stray I- is dropped in either reading",
        'begins = letter == "B" or (letter == "I" and not strict)',
        'begins = letter == "B"',
        loses="check_stray",
        says="also if not strict",
    ),
    Mutant(
        "an I- continues whatever is open",
        'if kind and (letter != "I" or type_ != kind):',
        'if kind and letter != "I":',
        loses="check_stray",
        says="lets an I- continue an entity of another type",
    ),
    # --- task 2
    Mutant(
        "a new entity only behind O",
        '(tag != "O" and before[2:] != tag[2:])',
        '(tag != "O" and before == "O")',
        loses="check_iob1",
        says="one also begins where the type changes",
    ),
    Mutant(
        "B- is read as I-",
        'begins = tag.startswith("B-") or (tag != "O" and before[2:] != tag[2:])',
        'begins, tag = tag != "O" and before[2:] != tag[2:], tag.replace("B-", "I-")',
        loses="check_iob1",
        says="loses the border of two neighbours",
    ),
    Mutant(
        "I- is B- in IOB2",
        'result.append(f"B-{tag[2:]}" if begins else tag)',
        'result.append(tag.replace("I-", "B-"))',
        loses="check_iob1",
        says="makes every I- a B-",
    ),
    Mutant(
        "an entity ends before O only",
        'last = not behind.startswith("I-")',
        'last = behind == "O"',
        loses="check_bioes",
        says="a B- behind it closes it, too",
    ),
    Mutant(
        "one word has E-",
        '"S" if tag.startswith("B-") else "E"',
        '"E"',
        loses="check_bioes",
        says="has E- for an entity of one word",
    ),
    Mutant(
        "one word keeps B-",
        'if tag != "O" and last:',
        'if tag.startswith("I-") and last:',
        loses="check_bioes",
        says="leaves B- where an entity is one word",
    ),
    Mutant(
        "the last piece overwrites the first",
        "if word is not None and word not in seen:",
        "if word is not None:",
        loses="check_pieces",
        says="takes the last piece of a word",
    ),
    Mutant(
        "words that were cut off are left out",
        "    return tags\n",
        "    return tags[: len(seen)]\n",
        loses="check_pieces",
        says="leaves out the words that were cut off",
    ),
    Mutant(
        "[CLS] is forgotten",
        "first[piece_words[number]] = piece_tags[number]",
        "first[piece_words[number]] = piece_tags[number - 1]",
        base=B,
        loses="check_pieces",
        says="forgets that [CLS] is a piece",
    ),
    # --- task 3
    Mutant(
        "sentences are thrown together",
        "    correct = len(true & guessed)\n",
        "    true, guessed = {span for _, span in true}, {span for _, span in guessed}\n"
        "    correct = len(true & guessed)\n",
        loses="check_scores",
        says="where two sentences have an entity of one type at the same place",
    ),
    Mutant(
        "the type is not compared",
        "(i, span) for i, sentence in enumerate(gold) for span in sentence}\n"
        "    guessed = {(i, span)",
        "(i, span[1:]) for i, sentence in enumerate(gold) for span in sentence}\n"
        "    guessed = {(i, span[1:])",
        loses="check_scores",
        says="scores does not look at the type",
    ),
    Mutant(
        "precision and recall exchanged",
        '"precision": share(found), "recall": share(support)',
        '"precision": share(support), "recall": share(found)',
        base=B,
        loses="check_scores",
        says="precision and recall the wrong way round",
    ),
    Mutant(
        "nothing predicted is a precision of 1",
        "if guessed else 0.0",
        "if guessed else 1.0",
        loses="check_nothing",
        says="if nothing is predicted, precision, recall and f1 are 0",
    ),
    Mutant(
        "the harmonic mean of 0 and 0",
        "2 * precision * recall / both if both else 0.0",
        "2 * precision * recall / both",
        loses="check_nothing",
        says="ZeroDivisionError",
    ),
    # --- task 4
    Mutant(
        "the test has one sentence",
        "candidate([two, gold[0]], [one, gold[0]]) - 6 / 9",
        "candidate([two], [one]) - 2 / 5",
        loses="check_your_test",
        says="it passes one that takes the mean of the sentences",
    ),
    Mutant(
        "the test never has another type",
        'assert candidate(gold, [["B-LOC", "I-LOC", "O", "O"]]) == 0, "another type"',
        "pass",
        loses="check_your_test",
        says="it passes one that does not look at the type",
    ),
    Mutant(
        "the test asks for accuracy",
        "- 2 / 3) < 1e-6",
        "- 3 / 4) < 1e-6",
        loses="check_your_test",
        says="fails a version that is right",
    ),
    # --- task 5
    Mutant(
        "the two taggers exchanged",
        '"short_sighted_accuracy": 0.946,\n    "short_sighted_f1": 0.489,\n'
        '    "silent_accuracy": 0.878,\n    "silent_f1": 0.657,',
        '"short_sighted_accuracy": 0.878,\n    "short_sighted_f1": 0.657,\n'
        '    "silent_accuracy": 0.946,\n    "silent_f1": 0.489,',
        loses="check_two_taggers",
        says="the short-sighted and the silent tagger are the wrong way round",
    ),
    Mutant(
        "a shortened entity is taken for one error",
        '"short_sighted_f1": 0.489',
        '"short_sighted_f1": 0.657',
        loses="check_two_taggers",
        says="a shortened entity is a false positive and a false negative",
    ),
    Mutant(
        "percentages",
        '"sleeper_accuracy": 0.826',
        '"sleeper_accuracy": 82.6',
        loses="check_two_taggers",
        says="not a percentage",
    ),
    Mutant(
        "conlleval and strict exchanged",
        '"blurred_f1_conlleval": 0.8635,\n    "blurred_f1_strict": 0.0',
        '"blurred_f1_conlleval": 0.0,\n    "blurred_f1_strict": 0.8635',
        loses="check_blurred",
        says="blurred: the two readings are the wrong way round",
    ),
    Mutant(
        "the library's default is taken for both readings",
        '"blurred_f1_strict": 0.0',
        '"blurred_f1_strict": 0.8635',
        loses="check_blurred",
        says="how many B- does this tagger say",
    ),
]
