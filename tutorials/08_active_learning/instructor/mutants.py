"""Wrong solutions that people write: each must lose its own check, in its own words."""

from _grading.mutants import Mutant

TOTAL = "total = -torch.xlogy(mean, mean).sum(-1)"
EACH = "each = -torch.xlogy(passes, passes).sum(-1)"
EPISTEMIC = '"epistemic": total - aleatoric}'
B = "solution_b.py"

MUTANTS = [
    # --- task 1
    Mutant(
        "logarithms to the base 2, as small-text has them",
        f"{EACH}\n    aleatoric = each.mean(0)\n",
        f"{EACH}\n    aleatoric = each.mean(0)\n    total, aleatoric = total / 0.6931471805599453, "
        "aleatoric / 0.6931471805599453\n",
        loses="check_entropies",
        says="these are bits",
    ),
    Mutant(
        "the entropies of the passes are added up",
        "aleatoric = each.mean(0)",
        "aleatoric = each.sum(0)",
        loses="check_entropies",
        says="aleatoric is a mean over the passes",
    ),
    Mutant(
        "total and aleatoric exchanged",
        '{"total": total, "aleatoric": aleatoric, ',
        '{"total": aleatoric, "aleatoric": total, ',
        loses="check_entropies",
        says="total and aleatoric are the wrong way round",
    ),
    Mutant(
        "the mean is forgotten: the entropy of a sum",
        "mean = passes.mean(0)",
        "mean = passes.sum(0)",
        loses="check_entropies",
        says="this is of their sum",
    ),
    Mutant(
        "the mean is taken before the entropy, twice",
        EACH,
        "each = -torch.xlogy(mean, mean).sum(-1).unsqueeze(0)",
        loses="check_entropies",
        says="both are the entropy of the mean",
    ),
    Mutant(
        "entropy of the mean is taken for BALD",
        EPISTEMIC,
        '"epistemic": total}',
        loses="check_epistemic",
        says="the entropy of the mean is not BALD yet",
    ),
    Mutant(
        "mean entropy minus entropy of the mean",
        EPISTEMIC,
        '"epistemic": aleatoric - total}',
        loses="check_epistemic",
        says="BALD has the wrong sign",
    ),
    Mutant(
        "variance of the passes for disagreement",
        EPISTEMIC,
        '"epistemic": passes.var(0).sum(-1)}',
        loses="check_epistemic",
        says="this is a variance; BALD",
    ),
    Mutant(
        "the divergence is taken the other way round",
        EPISTEMIC,
        '"epistemic": (mean * (mean + 1e-300).log() - mean * (passes + 1e-300).log())'
        ".sum(-1).mean(0)}",
        loses="check_epistemic",
        says="from the mean to each pass",
    ),
    Mutant(
        "0 times the logarithm of 0",
        EACH,
        "each = -(passes * passes.log()).sum(-1)",
        loses="check_zeros",
        says="is nan where a probability is exactly 0",
    ),
    Mutant(
        "an epsilon inside the logarithm, as small-text has it",
        EACH,
        "each = -(passes * (passes + 1e-8).log()).sum(-1)",
        loses="check_zeros",
        says="is something added inside the logarithm",
    ),
    Mutant(
        "probabilities are clamped from below",
        f"{TOTAL}\n    {EACH}",
        "mean, clamped = mean.clamp(min=1e-3), passes.clamp(min=1e-3)\n"
        f"    {TOTAL}\n    each = -torch.xlogy(clamped, clamped).sum(-1)",
        loses="check_zeros",
        says="a class that never occurs (probability 0) changes",
    ),
    # --- task 2
    Mutant(
        "confidence for least confidence",
        "return 1 - mean.amax(-1)",
        "return mean.amax(-1)",
        loses="check_direction",
        says="it asks for what the model knows best",
    ),
    Mutant(
        "the margin itself, which is small where the doubt is large",
        "return 1 - (two[:, 0] - two[:, 1])",
        "return two[:, 0] - two[:, 1]",
        loses="check_direction",
        says="that text is asked last",
    ),
    Mutant(
        "the least likely class is taken for the second",
        "ordered[:, -2]",
        "ordered[:, 0]",
        base=B,
        loses="check_direction",
        says="margin takes the least likely class for the second",
    ),
    Mutant(
        "classes are not sorted before the margin",
        "two = mean.topk(2, dim=-1).values\n    return 1 - (two[:, 0] - two[:, 1])",
        "return 1 - (mean[:, 0] - mean[:, 1]).abs()",
        loses="check_direction",
        says="not the two most likely",
    ),
    Mutant(
        "the lowest scores are chosen",
        "ranked = sorted(ids, key=scores.get, reverse=True)",
        "ranked = sorted(ids, key=scores.get)",
        loses="check_choose",
        says="what the model doubts least",
    ),
    Mutant(
        "positions for ids",
        "return ranked[:count]",
        "return [list(scores).index(text) for text in ranked[:count]]",
        loses="check_choose",
        says="choose returns positions",
    ),
    Mutant(
        "the chosen texts are put back into the order of the file",
        "return ranked[:count]",
        "return [text for text in scores if text in ranked[:count]]"
        " if len(set(scores.values())) > 1 else ranked[:count]",
        loses="check_choose",
        says="choose returns ids in the order of `scores`",
    ),
    Mutant(
        "ties are broken by noise on the scores",
        "ranked = sorted(ids, key=scores.get, reverse=True)",
        "noise = {text: 1e-4 * random.Random(f'{seed}{text}').random() for text in ids}\n"
        "    ranked = sorted(ids, key=lambda text: scores[text] + noise[text], reverse=True)",
        loses="check_choose",
        says="is noise added to the scores",
    ),
    Mutant(
        "equal scores go by their place",
        "    random.Random(seed).shuffle(ids)\n",
        "",
        loses="check_ties",
        says="place decides",
    ),
    Mutant(
        "the seed is not used",
        "random.Random(seed).shuffle(ids)",
        "random.shuffle(ids)",
        loses="check_ties",
        says="asked twice with the same seed and chooses differently",
    ),
    Mutant(
        "the seed only turns the list",
        "random.Random(seed).shuffle(ids)",
        "ids = ids[seed % 2 :] + ids[: seed % 2]",
        loses="check_ties",
        says="are ever chosen with 60 seeds",
    ),
    # --- task 3
    Mutant(
        "the blank: positions shift when one is taken out",
        "        asked = sorted(pool, key=scores.get, reverse=True)[:query]\n"
        "        pool = [text for text in pool if text not in asked]\n",
        "        order = sorted(range(len(pool)), key=lambda i: scores[pool[i]], reverse=True)\n"
        "        asked = [pool.pop(i) if i < len(pool) else pool.pop() for i in order[:query]]\n",
        loses="check_rounds",
        says="what do the other positions mean",
    ),
    Mutant(
        "a position in the pool is looked up in the whole list",
        "[:query]\n        pool = [text for text in pool if text not in asked]",
        "[:query]\n        asked = [ids[pool.index(text)] for text in asked]\n"
        "        pool = [text for text in pool if text not in asked]",
        loses="check_rounds",
        says="takes a position in the pool for one in `ids`",
    ),
    Mutant(
        "the model is trained once",
        "        scores = dict(zip(pool, score(pool, labelled)))\n",
        "        scores = dict(zip(ids, score(ids, ids[:initial])))\n",
        loses="check_rounds",
        says="goes by the scores of the first round",
    ),
    Mutant(
        "labelled texts stay in the pool",
        "        pool = [text for text in pool if text not in asked]\n",
        "",
        loses="check_rounds",
        says="asks for them again",
    ),
    Mutant(
        "the rest of the pool is left over",
        "        history.append([text for _, text in ranked[:query]])",
        "        history.append([text for _, text in ranked[:query] if len(ranked) >= query])",
        base=B,
        loses="check_rounds",
        says="forgets the last texts",
    ),
    # --- task 4
    Mutant(
        "the test has two passes wherever they disagree",
        '    assert abs(third - 0.5623) < 1e-4, "one pass of four disagrees: H(1/4)"\n',
        "",
        loses="check_your_test",
        says="it passes one that looks at the first two passes only",
    ),
    Mutant(
        "the test has no probability of 0",
        "    passes[2, 1] = torch.tensor([0.0, 1.0, 0.0])\n",
        "",
        base=B,
        loses="check_your_test",
        says="it passes one that gives nan where a probability is 0",
    ),
    Mutant(
        "the test has one-hot passes only",
        "passes = (2 * torch.randn(5, 4, 3, generator=generator)).softmax(-1)",
        "passes = torch.eye(3)[torch.randint(3, (5, 4), generator=generator)]",
        base=B,
        loses="check_your_test",
        says="it passes one that leaves out what each pass doubts for itself",
    ),
    Mutant(
        "the test asks for bits",
        "abs(torn[0] - 0.3681)",
        "abs(torn[0] - 0.5310)",
        loses="check_your_test",
        says="fails a version that is right",
    ),
    # --- task 5
    Mutant(
        "the whole entropy for its epistemic part",
        "whole - own",
        "whole",
        base=B,
        loses="check_line",
        says="this is the whole entropy",
    ),
    Mutant(
        "the two kinds exchanged",
        'epistemic_{place}_{when}", whole - own\n            yield f"aleatoric_',
        'aleatoric_{place}_{when}", whole - own\n            yield f"epistemic_',
        base=B,
        loses="check_line",
        says="the line: epistemic and aleatoric are the wrong way round",
    ),
    Mutant(
        "bits on the line",
        '            yield f"epistemic_{place}_{when}", whole - own\n'
        '            yield f"aleatoric_{place}_{when}", own\n',
        '            yield f"epistemic_{place}_{when}", (whole - own) / 0.6931\n'
        '            yield f"aleatoric_{place}_{when}", own / 0.6931\n',
        base=B,
        loses="check_line",
        says="the line: these are bits",
    ),
    Mutant(
        "thresholds keep equal shares: labels change nothing",
        '("after", seen.prod(0))',
        '("after", torch.ones(401))',
        base=B,
        loses="check_line",
        says="do the thresholds have shares by Bayes' rule",
    ),
    Mutant(
        "two different masks a pair",
        '"two_passes": 0.5264',
        '"two_passes": 0.7019',
        loses="check_two_passes",
        says="this is without replacement",
    ),
    Mutant(
        "the mean, not divided",
        '"two_passes": 0.5264',
        '"two_passes": 0.0969',
        loses="check_two_passes",
        says="this is the mean itself",
    ),
]
