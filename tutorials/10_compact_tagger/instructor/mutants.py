"""Wrong solutions that people write: each must lose its own check, in its own words."""

from _grading.mutants import Mutant

B = "solution_b.py"
SOFT = "soft = (log_teacher.exp() * (log_teacher - log_student)).sum(-1)"

MUTANTS = [
    # --- task 1
    Mutant(
        "KL(student || teacher), as the authors' documentation writes it",
        SOFT,
        "soft = (log_student.exp() * (log_student - log_teacher)).sum(-1)",
        loses="check_loss",
        says="KL is the wrong way round",
    ),
    Mutant(
        "T^2 is left out, as in the authors' documentation",
        "teacher_weight * temperature**2 * soft",
        "teacher_weight * soft",
        loses="check_loss",
        says="the factor T^2 is missing",
    ),
    Mutant(
        "log-probabilities against probabilities, the default of the authors' code",
        SOFT,
        "soft = (log_student - log_teacher.exp()).square().mean(-1)",
        loses="check_loss",
        says="the authors' mse",
    ),
    Mutant(
        "the cross-entropy with the teacher",
        SOFT,
        "soft = -(log_teacher.exp() * log_student).sum(-1)",
        loses="check_loss",
        says="which is not 0 for a perfect copy",
    ),
    Mutant(
        "the student is not softened",
        "log_student = (student / temperature).log_softmax(-1)",
        "log_student = student.log_softmax(-1)",
        loses="check_loss",
        says="only the teacher is softened",
    ),
    Mutant(
        "kl_div takes the mean over labels, too",
        'F.kl_div(log_q, p, reduction="none").sum(-1)',
        'F.kl_div(log_q, p, reduction="none").mean(-1)',
        base=B,
        loses="check_loss",
        says="divided by the number of labels",
    ),
    Mutant(
        "padding is not masked",
        "return (every * words).sum() / words.sum()",
        "return every.mean()",
        base=B,
        loses="check_padding",
        says="what stands in the padding changes lesson_loss",
    ),
    Mutant(
        "the mean is over all places",
        "return (every * words).sum() / words.sum()",
        "return (every * words).mean()",
        base=B,
        loses="check_padding",
        says="divides by all places",
    ),
    Mutant(
        "each sentence is averaged first, as in the authors' code",
        "return (every * words).sum() / words.sum()",
        "return ((every * words).sum(1) / words.sum(1)).mean()",
        base=B,
        loses="check_padding",
        says="a word of a short one weighs more",
    ),
    # --- task 2
    Mutant(
        "the score of the end is forgotten in the sum",
        "return (alpha + end).logsumexp(0)",
        "return alpha.logsumexp(0)",
        loses="check_partition",
        says="log_partition forgets `end`",
    ),
    Mutant(
        "the score of the start is forgotten in the sum",
        "alpha = start + emissions[0]",
        "alpha = emissions[0]",
        loses="check_partition",
        says="log_partition forgets `start`",
    ),
    Mutant(
        "transitions are read the other way round",
        "alpha = (alpha.unsqueeze(1) + transitions).logsumexp(0) + row",
        "alpha = (alpha.unsqueeze(0) + transitions).logsumexp(1) + row",
        loses="check_partition",
        says="log_partition reads transitions as [next tag, tag]",
    ),
    Mutant(
        "the maximum for the sum",
        "alpha = (alpha.unsqueeze(1) + transitions).logsumexp(0) + row\n"
        "    return (alpha + end).logsumexp(0)",
        "alpha = (alpha.unsqueeze(1) + transitions).amax(0) + row\n    return (alpha + end).amax()",
        loses="check_partition",
        says="take logsumexp, not max",
    ),
    Mutant(
        "exp, sum and log one after the other",
        "    alpha = start + emissions[0]\n"
        "    for row in emissions[1:]:\n"
        "        alpha = (alpha.unsqueeze(1) + transitions).logsumexp(0) + row\n"
        "    return (alpha + end).logsumexp(0)",
        "    alpha = (start + emissions[0]).exp()\n"
        "    for row in emissions[1:]:\n"
        "        alpha = (alpha @ transitions.exp()) * row.exp()\n"
        "    return (alpha @ end.exp()).log()",
        loses="check_partition",
        says="log_partition overflows",
    ),
    Mutant(
        "the score of the end is forgotten in the best sequence",
        "tags = [int((score + end).argmax())]",
        "tags = [int(score.argmax())]",
        loses="check_viterbi",
        says="viterbi forgets `end`",
    ),
    Mutant(
        "the way back is not turned round",
        "return tags[::-1]",
        "return tags",
        loses="check_viterbi",
        says="from the last word to the first",
    ),
    Mutant(
        "the best tag of each word",
        "    return tags[::-1]",
        "    return emissions.argmax(1).tolist()",
        loses="check_viterbi",
        says="viterbi takes each word alone",
    ),
    Mutant(
        "no way back: the best tag so far is kept at each word",
        "    tags = [int((score + end).argmax())]\n"
        "    for previous in reversed(came_from):\n"
        "        tags.append(int(previous[tags[-1]]))\n"
        "    return tags[::-1]",
        "    tags = [int((start + emissions[0]).argmax())]\n"
        "    for word in range(1, len(emissions)):\n"
        "        last = end if word == len(emissions) - 1 else 0\n"
        "        tags.append(int((transitions[tags[-1]] + emissions[word] + last).argmax()))\n"
        "    return tags",
        loses="check_viterbi",
        says="viterbi decides word by word from the left",
    ),
    # --- task 3
    Mutant(
        "the teacher's best label may be padding",
        "probabilities = teacher.softmax(1)[:, 1:]\n    sureness, best = probabilities.max(1)",
        "sureness, best = teacher.softmax(1).max(1)\n    best = best - 1",
        loses="check_pseudo_labels",
        says="labels words as padding",
    ),
    Mutant(
        "the logit of padding is cut off before the softmax",
        "teacher.softmax(1)[:, 1:]",
        "teacher[:, 1:].softmax(1)",
        loses="check_pseudo_labels",
        says="without the logit of padding",
    ),
    Mutant(
        "tags are counted from the first that is left",
        "(best + 1).tolist()",
        "best.tolist()",
        loses="check_pseudo_labels",
        says="counts tags from 0",
    ),
    Mutant(
        "the teacher knows better than gold",
        "if label is not None:",
        "if False:",
        loses="check_pseudo_labels",
        says="overwrites gold labels",
    ),
    Mutant(
        "all labels get the weight of pseudo-labels",
        "found.append((label, 1.0))",
        "found.append((label, pseudo_weight))",
        loses="check_pseudo_labels",
        says="gives gold labels the weight",
    ),
    # --- task 4
    Mutant(
        "the test knows T = 1 only",
        "    assert abs(candidate([0.0, 0.0], [0.0, 2 * third], 2.0) - 4 * 0.1308) < 4e-4\n",
        "",
        loses="check_your_test",
        says="it passes one that leaves out T^2",
    ),
    Mutant(
        "the test has two labels only",
        "for labels in (2, 3, 5):",
        "for labels in (2, 2, 2):",
        base=B,
        loses="check_your_test",
        says="it passes one that divides by half the number of labels",
    ),
    Mutant(
        "the test has the arguments of KL exchanged",
        "torch.distributions.kl_divergence(p, q)",
        "torch.distributions.kl_divergence(q, p)",
        base=B,
        loses="check_your_test",
        says="fails a version that is right",
    ),
    # --- task 5
    Mutant(
        "the student's table is not counted",
        '"times_fewer": 36.33',
        '"times_fewer": 213.05',
        loses="check_times",
        says="the student's table is missing",
    ),
    Mutant(
        "the tables are taken off one side only",
        '"times_fewer_without_tables": 166.7',
        '"times_fewer_without_tables": 213.05',
        loses="check_times",
        says="BERT's tables are still in it",
    ),
    Mutant(
        "the scales are forgotten",
        '"int8_bytes": 2_600_000,\n    "int8_times": 3.85',
        '"int8_bytes": 2_500_000,\n    "int8_times": 4.0',
        loses="check_int8",
        says="each row has a scale, too",
    ),
    Mutant(
        "half a scale is taken for the error",
        '"int8_error": 0.004',
        '"int8_error": 0.005',
        loses="check_int8",
        says="this is half a scale",
    ),
]
