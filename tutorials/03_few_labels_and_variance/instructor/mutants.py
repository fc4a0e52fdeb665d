"""Wrong solutions that people write: each must lose its own check, in its own words."""

from _grading.mutants import Mutant

B = "solution_b.py"

MUTANTS = [
    # --- task 1
    Mutant(
        "drawn at random, not stratified",
        "    order.sort(key=lambda index: labels[index])\n",
        "",
        base=B,
        loses="check_strata",
        says="are to hold",
    ),
    Mutant(
        "drawn with replacement",
        "stream.sample(found, counts[label])",
        "stream.choices(found, k=counts[label])",
        loses="check_strata",
        says="draws a text twice",
    ),
    Mutant(
        "every class rounded down",
        "left = size - sum(counts.values())",
        "left = 0",
        loses="check_strata",
        says="were asked for",
    ),
    Mutant(
        "torch.manual_seed: the stream that heads and dropout use",
        "torch.randperm(len(labels), generator=stream)",
        "(torch.manual_seed(seed), torch.randperm(len(labels)))[1]",
        base=B,
        loses="check_streams",
        says="the stream of `torch` is not where it was",
    ),
    Mutant(
        "the global stream as it stands",
        "stream = random.Random(seed)",
        "stream = random",
        loses="check_streams",
        says="it needs a stream of its own",
    ),
    Mutant(
        "one seed for everything",
        "random.Random(seed)",
        "random.Random(0)",
        loses="check_streams",
        says="the same texts with every seed",
    ),
    # --- task 2
    Mutant(
        "the majority of the test set",
        "max(sorted(set(train)), key=train.count)",
        "max(sorted(set(gold)), key=gold.count)",
        loses="check_majority",
        says="most frequent in the test texts",
    ),
    Mutant(
        "ties by place",
        "key=lambda label: (-counts[label], label)",
        "key=lambda label: -counts[label]",
        base=B,
        loses="check_majority",
        says="not in the alphabet",
    ),
    Mutant(
        "scored on the training labels",
        "gold.count(most) / len(gold)",
        "train.count(most) / len(train)",
        loses="check_majority",
        says="score it on gold",
    ),
    Mutant(
        "fewer labels than there are is taken for one",
        "len(set(predicted)) == 1 and len(set(gold)) > 1",
        "len(set(predicted)) < len(set(gold))",
        loses="check_collapsed",
        says="returns True where of three classes two are predicted",
    ),
    Mutant(
        "gold is not looked at",
        " and len(set(gold)) > 1",
        "",
        loses="check_collapsed",
        says="returns True where gold has one class only",
    ),
    Mutant(
        "a collapse is recognised by its accuracy",
        "return all(label == predicted[0] for label in predicted)",
        "return sum(a == b for a, b in zip(predicted, gold)) == max(\n"
        "        gold.count(label) for label in gold\n"
        "    )",
        base=B,
        loses="check_collapsed",
        says="that is guessing, no collapse",
    ),
    Mutant(
        "paired by place",
        "seeds = [seed for seed in scores if seed in others]\n"
        "    values = [scores[seed] - others[seed] for seed in seeds]",
        "values = [a - b for a, b in zip(scores.values(), others.values())]",
        loses="check_pairing",
        says="paired by their place",
    ),
    Mutant(
        "a run that is not there counts as 0",
        "seeds = sorted(scores.keys() & others.keys())\n"
        "    a, b = (torch.tensor([d[s] for s in seeds]",
        "seeds = sorted(scores.keys() | others.keys())\n"
        "    a, b = (torch.tensor([d.get(s, 0) for s in seeds]",
        base=B,
        loses="check_pairing",
        says="taken for a score of 0",
    ),
    Mutant(
        "others - scores",
        "scores[seed] - others[seed]",
        "others[seed] - scores[seed]",
        loses="check_pairing",
        says="the sign is the wrong way round",
    ),
    Mutant(
        "the sd of a population",
        "statistics.stdev(values)",
        "statistics.pstdev(values)",
        loses="check_interval",
        says="so divide by n - 1",
    ),
    Mutant(
        "1.96 for every number of seeds",
        "T95[n - 1] * sd",
        "1.96 * sd",
        loses="check_interval",
        says="takes 1.96 for t",
    ),
    Mutant(
        "the standard deviation for the standard error",
        "* sd / math.sqrt(n)",
        "* sd",
        loses="check_interval",
        says="narrower by the root of n",
    ),
    Mutant(
        "n degrees of freedom",
        "T95[len(d) - 1]",
        "T95[len(d)]",
        base=B,
        loses="check_interval",
        says="n differences have n - 1",
    ),
    Mutant(
        "the pairs are forgotten in the spread",
        "error = d.var(correction=1)",
        "error = (a.var() + b.var())",
        base=B,
        loses="check_interval",
        says="the interval adds up the two methods' variances",
    ),
    # --- task 3
    Mutant(
        "chosen by the test set",
        'key=lambda scores: scores["dev"]',
        'key=lambda scores: scores["test"]',
        loses="check_compare",
        says="the rate is chosen by the test set",
    ),
    Mutant(
        "failed runs left out",
        'results[method][seed] = best["test"]',
        'results[method] |= {seed: best["test"]} if best["test"] > guess else {}',
        loses="check_compare",
        says="failed runs belong into the mean",
    ),
    Mutant(
        "every method draws its own texts",
        "run(method, rate, subset, seed)",
        "run(method, rate, subset + 100 * methods.index(method), seed)",
        loses="check_compare",
        says="methods are compared on different texts",
    ),
    Mutant(
        "the texts change with the rate",
        "run(method, rate, number, seed)",
        "run(method, rate, number + 100 * rates.index(rate), seed)",
        base=B,
        loses="check_compare",
        says="each run draws texts of its own",
    ),
    Mutant(
        "one draw of texts for all seeds",
        "subset = 1000 + seed",
        "subset = 42",
        loses="check_compare",
        says="several seeds share one draw of texts",
    ),
    Mutant(
        "one of three bugs found",
        'scores["dev"])\n            results[method][seed] = best["test"]',
        'scores["test"])\n'
        '            results[method] |= {seed: best["test"]} if best["test"] > guess else {}',
        loses="check_compare",
        says="2 of the 3 bugs are left",
    ),
    # --- task 4
    Mutant(
        "no run in the test has collapsed",
        "    assert candidate(gold, [1] * 6) == 0\n",
        "",
        loses="check_your_test",
        says="it passes one that divides by 0 where",
    ),
    Mutant(
        "nothing in the test is worse than chance",
        "    assert abs(candidate(gold, [1 - label for label in gold]) + 1) < 1e-6\n",
        "",
        loses="check_your_test",
        says="it passes one that loses the sign",
    ),
    Mutant(
        "all or nothing is right",
        "    assert abs(candidate(gold, [1, 1, 1, 0, 0, 0]) - 6 / math.sqrt(72)) < 1e-6\n",
        "",
        loses="check_your_test",
        says="it passes one that returns 2 * accuracy - 1",
    ),
    Mutant(
        "a wrong number worked out by hand",
        "6 / math.sqrt(72)",
        "6 / math.sqrt(36)",
        loses="check_your_test",
        says="fails a version that is right",
    ),
    # --- task 5
    Mutant(
        "a share for points",
        '"test_set_sd": 2.0',
        '"test_set_sd": 0.02',
        loses="check_test_set",
        says="in points it is a hundred times that",
    ),
    Mutant(
        "1.96 again",
        '"seeds_needed": 27',
        '"seeds_needed": 25',
        loses="check_seeds",
        says="t for so many seeds is still larger",
    ),
    Mutant(
        "the best of four",
        "torch.randn(200_000, 5,",
        "torch.randn(200_000, 4,",
        base=B,
        loses="check_best",
        says="this is the best of one run less",
    ),
    Mutant(
        "only one of the two runs varies",
        "NormalDist(1, 2.5 * 2**0.5)",
        "NormalDist(1, 2.5)",
        base=B,
        loses="check_order",
        says="both runs vary",
    ),
    Mutant(
        "the other side",
        '"wrong_order": 38.9',
        '"wrong_order": 61.1',
        loses="check_order",
        says="this is how often A is ahead",
    ),
]
