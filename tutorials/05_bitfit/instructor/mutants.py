"""Wrong solutions that people write: each must lose its own check, in its own words."""

from _grading.mutants import Mutant

CHOICE = 'if head or name.endswith("bias"):'

MUTANTS = [
    # --- task 1
    Mutant(
        "bias is asked for before head or encoder is, so the head's weight is forgotten",
        CHOICE,
        'if name.endswith("bias"):',
        loses="check_head_names",
        says="the head's weight is missing",
    ),
    Mutant(
        "the head is taken to be frozen with the rest",
        CHOICE,
        'if not head and name.endswith("bias"):',
        loses="check_head_names",
        says="the head is missing",
    ),
    Mutant(
        "the head is thought to be called classifier and to be one linear layer",
        'head = not name.startswith("bert.")',
        'head = name in ("classifier.weight", "classifier.bias")',
        loses="check_head_names",
        says="missing classifier.filters.0.weight (conv model)",
    ),
    Mutant(
        "biases of LayerNorm are not taken for biases",
        CHOICE,
        'if head or (name.endswith("bias") and "norm" not in name):',
        loses="check_bias_names",
        says="the biases of the LayerNorms are missing",
    ),
    Mutant(
        "LayerNorm learns whole, as in other methods",
        CHOICE,
        'if head or name.endswith(("bias", "norm.weight")):',
        loses="check_bias_names",
        says="the gains of the LayerNorms (weight) learn too",
    ),
    Mutant(
        "only the layers are thought of, as in the paper's table of symbols",
        CHOICE,
        'if head or (name.endswith("bias") and "layers" in name):',
        loses="check_bias_names",
        says="of embeddings and pooler, are missing",
    ),
    Mutant(
        "the key bias is left out, since it cannot learn",
        CHOICE,
        'if head or (name.endswith("bias") and "key" not in name):',
        loses="check_bias_names",
        says="missing bert.layers.0.attention.key.bias",
    ),
    # --- task 2
    Mutant(
        "what is to learn is not switched on",
        "parameter.requires_grad_(name in names)",
        "parameter.requires_grad_(False) if name not in names else None",
        loses="check_freeze",
        says="does not switch on what was frozen before",
    ),
    Mutant(
        "the others are not switched off",
        "parameter.requires_grad_(name in names)",
        "parameter.requires_grad_(True) if name in names else None",
        loses="check_freeze",
        says="leaves the others as they were",
    ),
    Mutant(
        "requires_grad is set on the module, which does nothing",
        "model.get_parameter(name).requires_grad_(True)",
        "model.get_parameter(name).learns = True",
        base="solution_b.py",
        loses="check_freeze",
        says="the names with requires_grad after freeze: missing",
    ),
    Mutant(
        "the head is counted with the biases, which it outweighs",
        '        if name in names:\n            counts["encoder learns"] += parameter.numel()\n',
        "    sizes = {n: p.numel() for n, p in model.named_parameters()}\n"
        '    counts["encoder learns"] = sum(sizes[n] for n in names)\n',
        loses="check_counts",
        says='the head is counted in "encoder learns"',
    ),
    Mutant(
        "tensors are counted, not numbers",
        "for name in names if name.startswith",
        "and 1 for name in names if name.startswith",
        base="solution_b.py",
        loses="check_counts",
        says="count_scalars['encoder learns'] is",
    ),
    Mutant(
        "the share is taken of the whole model",
        '"encoder": encoder, "head"',
        '"encoder": total, "head"',
        base="solution_b.py",
        loses="check_counts",
        says='the head is counted in "encoder": that is the whole model',
    ),
    # --- task 3
    Mutant(
        "endswith is not enough: attention.output.bias ends in output.bias",
        "if suffix in suffixes:",
        "if name.endswith(tuple(suffixes)):",
        loses="check_subset",
        says="it also returns attention.output.bias",
    ),
    Mutant(
        "a layer's number is thought to have one digit",
        r"layers\.\d+\.",
        r"layers\.\d\.",
        base="solution_b.py",
        loses="check_subset",
        says="layers 10 and above are missing",
    ),
    Mutant(
        "the pooler's bias comes with every subset, as in the authors' code",
        "    return chosen\n",
        '    return [*chosen, "bert.pooler.dense.bias"]\n',
        loses="check_subset",
        says="pooler.dense.bias was not asked for",
    ),
    # --- task 4
    Mutant(
        "nothing in the test falls",
        "[1.0, -3.0]",
        "[1.0, 3.0]",
        loses="check_your_test",
        says="it passes one that lets rises and falls cancel",
    ),
    Mutant(
        "the second layer of the test moves as the first does",
        "[1.0, 7.0]}\n    assert abs(candidate(before, after, query) - 2.5)",
        "[1.0, 5.0]}\n    assert abs(candidate(before, after, query) - 2.0)",
        loses="check_your_test",
        says="it passes one that looks at the first layer only",
    ),
    Mutant(
        "the test has no second term whose name contains the first",
        "abs(b - a) for",
        "0 * abs(b - a) for",
        base="solution_b.py",
        loses="check_your_test",
        says="fails a version that is right",
    ),
    Mutant(
        "the test asks for the sum",
        "query) - 2.5)",
        "query) - 10.0)",
        loses="check_your_test",
        says="fails a version that is right",
    ),
    # --- task 5
    Mutant(
        "a share for a percentage",
        '"bias_percent": 0.0940',
        '"bias_percent": 0.00094',
        loses="check_bias_percent",
        says="this is the share",
    ),
    Mutant(
        "the paper's symbols, without embeddings and pooler",
        '"bias_percent": 0.0940',
        '"bias_percent": 0.0926',
        loses="check_bias_percent",
        says="this counts the biases of the layers",
    ),
    Mutant(
        "key and query exchanged",
        '"key_shift": 0.0, "query_shift": 0.0257',
        '"key_shift": 0.0257, "query_shift": 0.0',
        loses="check_shifts",
        says="the wrong way round",
    ),
    Mutant(
        "measured in float32: rounding is taken for an effect",
        '"key_shift": 0.0,',
        '"key_shift": 2.1e-7,',
        loses="check_shifts",
        says="is it float64",
    ),
    Mutant(
        "the largest change instead of the mean",
        '"query_shift": 0.0257',
        '"query_shift": 0.113',
        loses="check_shifts",
        says="take the mean of |change|",
    ),
]
