# %% [markdown]
# # 10 · A compact tagger by distillation
#
# **Claim.** A tagger of two thirds of a million parameters, in one file, can learn from labels and
# from a teacher's doubts. You will work its parts out by hand (the forward sum of a CRF, a soft
# target, the loss that is not a distillation), and then measure the sentence that papers say least
# often: a student learns what its teacher knows, *and no more*, so measure the teacher first.
#
# **Paper.** Izsak, Guskin and Wasserblat (2019), *Training Compact Models for Low Resource Entity
# Tagging using Pre-trained Language Models*; soft targets are those of Hinton, Vinyals and Dean
# (2015), *Distilling the Knowledge in a Neural Network*.
#
# **Time.** 30 minutes to read, 2 minutes to run on two cores.
#
# **Before this.** [09, Named entities](../09_entities/tutorial.ipynb): tags, and what entity F1 counts.
#
# The question of this page: a fine-tuned BERT finds your entities, but it is too large or too slow for
# where it shall run. Can something small be taught by it, with few labels and much unlabelled text?

# %%
import itertools
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import matplotlib.pyplot as plt
import torch

import minift
from minift import Seeds
from minift.compact.crf import Crf
from minift.compact.distill import Distillation, gold_lessons, pseudo_lessons, soft_losses, teach
from minift.compact.report import alternating_speeds, bert_base, size_of
from minift.compact.store import load_student, save_student
from minift.compact.student import new_student
from minift.compact.teacher import tag_labels, teacher_logits, teacher_tags
from minift.compact.vocabulary import build_vocabulary
from minift.compact.word_vectors import start_from_teacher
from minift.data.entities import entity_scores
from minift.runs.train import subset

sys.path.append("..")
from shared import GREEN, GREY, ORANGE, RED, dots, mean_sd, measured  # a plot, numbers

DATA = "news"  # or "wnut17", with ENCODER = "minilm"
ENCODER = "tiny"  # the teacher
RATE = {"tiny": 1e-3, "minilm": 5e-5}[ENCODER]
LABELS, POOL, STEPS, SEEDS = 100, 400, 120, range(3)  # labelled, unlabelled sentences; steps

data = replace(minift.load_dataset(DATA), dev=())  # nothing here is chosen by a validation split
sentences = [example.words for example in data.test]
gold = [example.tags for example in data.test]

# %% [markdown]
# ## 1. The student
#
# It reads a word in two ways: as a row of a table, if the word was seen, and by its spelling, seen
# or not. A small CNN slides over the characters, three at a time, and keeps the largest answer of
# each filter. Both go into an LSTM that reads the sentence from both ends, and a last matrix gives a
# logit per tag. There is no tokenizer: words come in, tags go out.
#
# ```python minift/compact/tagger.py:Tagger.forward
#         spelled = self.spell(words.spellings)[words.spelling_of]  # (words, filters)
#         rows = torch.cat([self.word(word_ids), spelled], 1)  # (words, word_size + filters)
#         hidden = self._read(self.input_dropout(rows), words.layout)  # (words, 2 * hidden)
# ```

# %%
draws = {seed: subset(data.train, LABELS, seed) for seed in SEEDS}
labelled = draws[0]
known = {example.id for example in labelled}
pool = [example.words for example in data.train if example.id not in known][:POOL]
vocabulary = build_vocabulary([example.words for example in labelled], pool)
student = new_student(vocabulary, data.labels)
size = size_of(student.model)
print(f"{len(vocabulary.words):,} words, {len(vocabulary.characters)} characters are known")
for name, part in student.model.named_children():
    print(f"  {name:<12}{sum(p.numel() for p in part.parameters()):>9,}")
print(f"  {'all':<12}{size.parameters:>9,}   ({size.embeddings:,} of them in tables)")
unknown = [word for words in sentences for word in words if not vocabulary.word_id(word)]
measured(unknown=len(unknown) / sum(map(len, sentences)))

# %% [markdown]
# 30 to 60 %<!-- measured: unknown --> of the words of the test set have no row. Of these the student
# knows the spelling and the neighbours, nothing else. For names that is the usual case.
#
# ## 2. By hand: a CRF, three words, two tags
#
# Answering word by word, a tagger may say I- where nothing has begun (09 shows what that costs).
# A *conditional random field* scores the whole sequence: each word has a number for each tag, each
# pair of neighbouring tags has one, and the score of a sequence is their sum. exp(score) / Z is
# its probability, Z the sum over *all* sequences.
#
# Take two tags, O and I, and write exp(score) instead of the score, so that sums become products:
#
# ```
# word        1    2    3           from \ to    O   I
# O           1    3    1           O            2   1
# I           2    1    2           I            1   3
# ```
#
# The forward sum goes from left to right. α is the sum over all beginnings that end in a tag:
#
# ```
# word 1    α(O) = 1                               α(I) = 2
# word 2    α(O) = (1·2 + 2·1)·3  = 12             α(I) = (1·1 + 2·3)·1  =  7
# word 3    α(O) = (12·2 + 7·1)·1 = 31             α(I) = (12·1 + 7·3)·2 = 66
# Z = 31 + 66 = 97
# ```
#
# That is words × tags² products, where writing down all sequences takes tags to the power of words.
# With three words we can still afford both. The step, in the library:
#
# ```python minift/compact/crf.py:Crf._forwards
#             step = (scores[-1].unsqueeze(2) + transitions).logsumexp(1) + emissions[:, t]
# ```

# %%
emissions = torch.tensor([[[1.0, 2.0], [3.0, 1.0], [1.0, 2.0]]]).double().log()
crf = Crf(2).double()
with torch.no_grad():
    crf.transitions.copy_(torch.tensor([[2.0, 1.0], [1.0, 3.0]]).log())
mask = torch.ones(1, 3, dtype=torch.bool)

products, neighbours = {}, crf.transitions.detach()
for tags in itertools.product((0, 1), repeat=3):
    score = sum(emissions[0, word, tag] for word, tag in enumerate(tags))
    score = score + sum(neighbours[pair] for pair in itertools.pairwise(tags))
    products["".join("OI"[tag] for tag in tags)] = float(score.exp())
print("brute force:", {name: round(value) for name, value in products.items()})

with torch.no_grad():
    z = float(crf.log_partition(emissions, mask).exp())
    best = "".join("OI"[tag] for tag in crf.best(emissions, mask)[0].tolist())
    word_two = crf.log_marginals(emissions, mask).exp()[0, 1]
alone = "".join("OI"[tag] for tag in emissions[0].argmax(1).tolist())
print(f"sum {sum(products.values()):.0f}, forward {z:.0f}")
print(
    f"best sequence {best}, p = {products[best]:.0f}/97; each word alone {alone}, p = {products[alone]:.0f}/97"
)
measured(z=z, brute=sum(products.values()), best=products[best], word_two=float(word_two[1]))

# %% [markdown]
# 97<!-- measured: z --> by the forward sum, 97<!-- measured: brute --> by writing all eight down. And see
# what the neighbours do: word 2 alone would say O, three to one. Yet the best sequence is III, with
# 36<!-- measured: best --> of 97, three times as likely as IOI; and of word 2 the field believes I with
# probability 0.505<!-- measured: word_two -->. (The best sequence comes from the same table with the
# largest product instead of the sum; do it on paper: you get 36.)
#
# The student below answers by softmax, word by word; `head="crf"` puts this on top.
#
# ## 3. Soft targets and temperature
#
# A label says *PER*. A teacher says *PER, though it might be ORG, and certainly not O*. The rest of
# its answer is worth something: it tells which mistakes are nearly right. A *temperature* T makes it
# louder: divide the logits by T before the softmax.
#
# The student's loss for a word is its distance from that answer, at the same temperature:
#
# ```
# p = softmax(z_teacher / T)      q = softmax(z_student / T)      T² · KL(p ‖ q) = T² · Σ p ln(p / q)
# ```
#
# Why T²? The gradient of the KL by the student's logits is (q − p) / T, and q − p itself shrinks like
# 1/T. Without the square, a high temperature would be a tiny learning rate. With it the gradient tends
# to (z_student − z_teacher) / K, for K tags and logits of mean 0. Check it:

# %%
teacher_z = torch.tensor([[4.0, 2.0, 0.0]])
student_z = torch.tensor([[1.0, 2.0, 3.0]])
limit = ((student_z - student_z.mean()) - (teacher_z - teacher_z.mean())) / 3
print(" T   the teacher says            gradient of the student (with T²)   without")
sizes = {}
for temperature in (1, 2, 8, 64):
    z = student_z.clone().requires_grad_()
    soft_losses((z / temperature).log_softmax(1), teacher_z, temperature).sum().backward()
    says = "  ".join(f"{p:.3f}" for p in (teacher_z / temperature).softmax(1)[0].tolist())
    slope = "  ".join(f"{g:+.3f}" for g in z.grad[0].tolist())
    sizes[temperature] = float(z.grad.norm())
    print(
        f"{temperature:>2}   {says}       {slope}        {sizes[temperature] / temperature**2:.5f}"
    )
print("limit                             ", "  ".join(f"{g:+.3f}" for g in limit[0].tolist()))
measured(at_limit=sizes[64] / float(limit.norm()), at_one=sizes[1] / float(limit.norm()))

# %% [markdown]
# At T = 64 the gradient is 0.97 to 1.03<!-- measured: at_limit --> times the limit, at T = 1 it is
# 0.5 to 1<!-- measured: at_one --> times. The last column is what a step would shrink to.
#
# ## 4. The loss that is not distillation
#
# The authors' code has two losses, and the default of its command line is the other one, "mse": the
# squared difference between the student's *log*-probabilities and the teacher's *probabilities*. It
# looks like a slip, it trains, and the loss goes down. What does it teach? Give it the best student
# there can be, one that says exactly what the teacher says, and let it learn on.

# %% alt="Grouped bar chart over four tags. The teacher gives 0.04, 0.04, 0.58 and 0.34. A student that started as its copy and learned with KL still has the same bars. One that learned with mse has four nearly equal bars, near one quarter."
says = torch.tensor([[0.04, 0.04, 0.58, 0.34]])
ends, losses, slopes = {}, {}, {}
for loss in ("kl", "mse"):
    z = says.log().clone().requires_grad_()  # the student is the teacher
    optimizer = torch.optim.SGD([z], lr=0.1)
    for step in range(400):
        value = soft_losses(z.log_softmax(1), says.log(), 1.0, loss).sum()
        optimizer.zero_grad()
        value.backward()
        if step == 0:
            losses[loss], slopes[loss] = float(value.detach()), float(z.grad.norm())
        optimizer.step()
    ends[loss] = z.detach().softmax(1)[0].tolist()
figure, axes = plt.subplots(figsize=(5.4, 2.5))
for shift, (name, heights, colour) in enumerate(
    [
        ("teacher", says[0].tolist(), GREY),
        ("copy, then KL", ends["kl"], GREEN),
        ("copy, then mse", ends["mse"], RED),
    ]
):
    axes.bar([x + 0.27 * (shift - 1) for x in range(4)], heights, 0.25, color=colour, label=name)
axes.set_xticks(range(4), ["tag 1", "tag 2", "tag 3", "tag 4"])
axes.set_ylabel("probability")
axes.legend(frameon=False)
plt.show()
for loss in ("kl", "mse"):
    print(f"{loss:<4} at the copy: loss {abs(losses[loss]):.3f}, gradient {slopes[loss]:.3f}")
measured(mse_loss=losses["mse"], kl_slope=slopes["kl"], mse_high=max(ends["mse"]))

# %% [markdown]
# KL has nothing to say to a perfect copy: its gradient is 0<!-- measured: kl_slope -->. The squared
# difference finds a loss of 6.13<!-- measured: mse_loss --> there, and drives the copy to nearly equal
# shares, the largest 0.25 to 0.32<!-- measured: mse_high -->. A log-probability is negative and a
# probability is not, so the two can never meet; the mean of the gap is least where no log is far
# below zero. It teaches to be unsure. minift keeps it by name, `loss="mse"`, for comparison.
#
# ## 5. Teacher and students
#
# 100 labelled sentences; 400 more, whose labels we hide, are the unlabelled text. Every student starts from the same
# weights, knows the same words and takes the same number of steps; three seeds, each with its own
# draw. What differs is who tells it what:
#
# - *labels alone*: the 100 sentences.
# - *distilled*: the same, and what the teacher believes of each of their words.
# - *+ unlabelled*: also ten unlabelled sentences a step, with the teacher's beliefs, and its best guess
#   as a *pseudo-label*.
# - *+ unlabelled, shuffled teacher*: the same beliefs, dealt out to the wrong words. The negative
#   control: if this is as good, the teacher's knowledge was not what helped.
# - *+ unlabelled, perfect teacher*: beliefs that are always right (made of the labels we hid). No one
#   has such a teacher. It shows what this way of teaching could pass on at best.
#
# The whole loss of a step, as in the library:
#
# ```python minift/compact/distill.py:objective
#     loss = settings.label_weight * (hard * weights.to(hard.dtype)).sum()
#     if settings.teacher_weight:
# ...
#         soft = soft_losses(log_student, believed, settings.temperature, settings.loss)
#         loss = loss + settings.teacher_weight * soft.sum()
#     return loss / len(targets)
# ```

# %%
full = minift.recipe("full")
fine_tuning = replace(full.settings, learning_rate=RATE, epochs=10)


def f1(tags):
    """Return the entity F1 over all types together."""
    return entity_scores(gold, tags).micro.f1


def students_of(seed):
    """Fine-tune a teacher; return it, and its students by name."""
    teacher, _ = minift.train(
        data, ENCODER, full, labels=LABELS, seeds=Seeds.all(seed), settings=fine_tuning
    )
    labels = tag_labels(teacher)
    labelled = draws[seed]
    known = {example.id for example in labelled}
    hidden = [example for example in data.train if example.id not in known][:POOL]
    pool = [example.words for example in hidden]
    asked = [*(example.words for example in labelled), *pool]
    beliefs = teacher_logits(teacher, asked)

    rows = torch.cat(beliefs)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    dealt_out = list(rows[order].split([len(words) for words in asked]))
    perfect = [
        10.0 * torch.eye(len(labels))[[labels.index(tag) for tag in example.tags]]
        for example in (*labelled, *hidden)
    ]
    vocabulary = build_vocabulary([example.words for example in labelled], pool)

    def taught(beliefs, unlabelled):
        """Train one student."""
        settings = Distillation(
            steps=STEPS, evaluate_every=STEPS, teacher_weight=0.0 if beliefs is None else 1.0
        )
        student = new_student(vocabulary, labels, torch.Generator().manual_seed(seed))
        start_from_teacher(student, teacher)  # word vectors, from its embedding table
        first = None if beliefs is None else beliefs[:LABELS]
        lessons = gold_lessons(labelled, labels, first)
        more = pseudo_lessons(pool, beliefs[LABELS:], settings) if unlabelled else []
        teach(student, lessons, more, settings, Seeds.all(seed))
        return student

    return teacher, {
        "labels alone": taught(None, False),
        "distilled": taught(beliefs, False),
        "+ unlabelled": taught(beliefs, True),
        "+ unlabelled, shuffled teacher": taught(dealt_out, True),
        "+ unlabelled, perfect teacher": taught(perfect, True),
    }


runs = [students_of(seed) for seed in SEEDS]

# %% alt="Dot plot of entity F1, three dots per row. The teacher's dots lie among those of the student with labels alone; the distilled student and the one with unlabelled text spread widely around the same place; the shuffled teacher's student lies at zero; the perfect teacher's student lies furthest to the right, apart from all others."
answers = {"the teacher": [teacher_tags(teacher, sentences) for teacher, _ in runs]}
answers |= {name: [made[name].tag(sentences) for _, made in runs] for name in runs[0][1]}
scores = {name: [f1(tags) for tags in tagged] for name, tagged in answers.items()}
figure, axes = plt.subplots(figsize=(6.0, 2.8))
colours = {
    "the teacher": ORANGE,
    "+ unlabelled, shuffled teacher": RED,
    "+ unlabelled, perfect teacher": GREEN,
}
dots(axes, scores, colours, numbers="{:.3f} ± {:.3f}")
axes.set_xlabel("entity F1 on test (one dot per seed; figures: mean ± sd)")
plt.show()


def agreement(tags, others):
    """Return the share of words that get the same tag."""
    pairs = [(a, b) for x, y in zip(tags, others) for a, b in zip(x, y)]
    return sum(a == b for a, b in pairs) / len(pairs)


agree = {
    name: fmean(agreement(a, b) for a, b in zip(tagged, answers["the teacher"]))
    for name, tagged in answers.items()
}
against = {
    name: mean_sd([a - b for a, b in zip(values, scores["labels alone"])])
    for name, values in scores.items()
}
print(f"{'':<34}F1 minus labels alone  words tagged as the teacher does")
for name in scores:
    print(f"{name:<34}{against[name][0]:+.3f} ± {against[name][1]:.3f}         {agree[name]:.3f}")
measured(
    f1_teacher=fmean(scores["the teacher"]),
    f1_alone=fmean(scores["labels alone"]),
    gain_distilled=against["distilled"][0],
    gain_pool=against["+ unlabelled"][0],
    gain_shuffled=against["+ unlabelled, shuffled teacher"][0],
    gain_perfect=against["+ unlabelled, perfect teacher"][0],
    agree_alone=agree["labels alone"],
    agree_pool=agree["+ unlabelled"],
)

# %% [markdown]
# What this shows, row by row, always on the same draws:
#
# - The teacher has an F1 of 0.08 to 0.2<!-- measured: f1_teacher -->. The student that never met it has
#   0.1 to 0.3<!-- measured: f1_alone -->; three seeds cannot tell the two apart. **Here the master is not
#   ahead of the pupil.** (Likely reasons: the student sees capitals and endings letter by letter, where
#   `tiny` cuts names into pieces; its LSTM follows an entity from word to word; and its word vectors came
#   from `tiny`.)
# - So there is little to be learned from this teacher. A taught student becomes more like it: it tags
#   83 to 91 %<!-- measured: agree_pool --> of the words as the teacher does, against
#   80 to 88 %<!-- measured: agree_alone --> without lessons. But its F1 changes by only
#   −0.12 to 0.1<!-- measured: gain_pool --> (by −0.1 to 0.1<!-- measured: gain_distilled --> where only the
#   labelled sentences are distilled), which is within the spread printed above.
# - Shuffled beliefs change it by −0.3 to −0.1<!-- measured: gain_shuffled -->: that student finds nothing.
#   So beliefs do reach the student, and what it made of the teacher's was far better than noise.
# - A perfect teacher brings 0.05 to 0.25<!-- measured: gain_perfect --> with the same code and the same
#   number of steps, which is beyond the spread. So unlabelled text and soft targets *can* carry
#   knowledge; this teacher had little of it to give.
#
# The two controls enclose the result: distillation passes on what there is, good or bad. What it
# does *not* show is that it fails in general. On WNUT-17 with MiniLM as the teacher the signs are
# reversed: after fine-tuning on 300 sentences the teacher had an F1 of 0.42<!-- given --> on the
# development split, its best student 0.15<!-- given --> (one seed; noted in
# [distill.py](../../minift/compact/distill.py)). There a student has something to learn. Put `DATA` and
# `ENCODER` at the top, and see.
#
# The habit to take away costs one line: before you distil, score the teacher *and* the student trained
# on labels alone. If the teacher is not clearly ahead, spend the time on labels.
#
# ## 6. What it costs: parameters, bytes, speed
#
# "36 times smaller" depends on what is counted. Here is all of it, for the student of seed 0.

# %%
teacher, made = runs[0]
compact = made["labels alone"]
large, small, base = size_of(teacher.model), size_of(compact.model), bert_base(teacher.labels)
print(f"{'':<12}{'parameters':>12}{'without tables':>16}")
for name, counted in (("BERT-base", base), ("teacher", large), ("student", small)):
    print(f"{name:<12}{counted.parameters:>12,}{counted.without_embeddings:>16,}")
with tempfile.TemporaryDirectory() as folder:
    print(f"\n{'stored as':<12}{'bytes':>12}   same tags")
    kept = {}
    for storage in ("float32", "float16", "int8"):
        file = save_student(compact, Path(folder, storage), storage)
        tags = load_student(file).tag(sentences)
        kept[storage] = file.stat().st_size
        same = agreement(tags, compact.tag(sentences))
        print(f"{storage:<12}{kept[storage]:>12,}   {same:.3f}")
    script = (
        "import sys; from minift.compact.store import load_student\n"
        "student = load_student(sys.argv[1])\n"
        "words = 'Maria Brandt moved from Leeds to the Harbour Bank .'.split()\n"
        "print(*[f'{w}/{t}' for w, t in zip(words, student.tag([words])[0])])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, file], capture_output=True, text=True, check=True
    )
print(f"\na new process that has nothing but {file.name}:\n{done.stdout.strip()}")
measured(
    smaller=large.parameters / small.parameters,
    smaller_base=base.parameters / small.parameters,
    smaller_inside=base.without_embeddings / small.without_embeddings,
    int8=kept["int8"] / 1e6,
    float32=kept["float32"] / 1e6,
    same_int8=same,
)

# %%
slow, fast = alternating_speeds(
    lambda: teacher_tags(teacher, sentences), lambda: compact.tag(sentences), len(sentences), 5
)
for name, speed in (("teacher", slow), ("student", fast)):
    print(
        f"{name:<9}{speed.median:5.0f} sentences a second "
        f"(slowest round {speed.slowest:.0f}, fastest {speed.fastest:.0f})"
    )
measured(faster=fast.median / slow.median)

# %% [markdown]
# Read the ratio you like best:
#
# - against the paper's kind of teacher, BERT-base, the student has
#   184<!-- measured: smaller_base --> times fewer parameters; without the tables on both sides,
#   166<!-- measured: smaller_inside --> times. The paper's 36 times is 110 million against about 3 million,
#   most of which are word vectors: a tagger that keeps 400,000 of them has hardly compressed anything.
# - against the teacher of this page, 4.9<!-- measured: smaller --> times.
# - in bytes: 2.37<!-- measured: float32 --> MB, or 0.64<!-- measured: int8 --> MB with eight bits a weight, where
#   0.97 to 1<!-- measured: same_int8 --> of the words keep their tag.
# - in time: 1.2 to 12<!-- measured: faster --> times as many sentences a second as `tiny`, in turn on the
#   same sentences, from words to tags. Parameters do not tell that: an LSTM must wait for each word
#   before it can read the next.
#
# And it is one file, weights, words, letters and tags together. The last line of the first output came
# from a process that was given nothing else: no vocabulary file, no tokenizer. The whole of this page
# on your own text is
#
# ```
# minift train --train few.conll --test test.conll --encoder minilm --out runs/teacher
# minift distill --teacher runs/teacher --train few.conll --unlabelled texts.txt --out runs/student
# ```
#
# ## Limits
#
# - Three seeds, 140 test sentences, 229 entities: the sign of the larger differences can be trusted,
#   their size cannot.
# - 120 steps are few; the command's default is 3,000. Whether more of them would narrow or widen the gaps:
#   not measured here.
# - The teacher had ten epochs and was not tuned. Longer training did not fix it in the one case
#   that was tried (200 labels, 20 epochs, seed 0: 0.18<!-- given -->; its student, labels alone, 300
#   steps: 0.35<!-- given -->).
# - A row with unlabelled text reads twice as many sentences in a step as one without. Steps were held
#   equal, work was not.
# - The perfect teacher is not a teacher: its beliefs are the labels that were hidden. And temperature, weights
#   and the confidence from which a pseudo-label counts stayed at their defaults.
# - The words of the unlabelled text are in the vocabulary of every row, labels alone included. Words of
#   the test set are not.
# - Speed is that of this machine, of short sentences, of the processor alone.
#
# ## Where this differs from the paper
#
# - The paper's teachers are BERT-base and BERT-large, its data CoNLL-2003 with 150 to 3,000 labelled
#   sentences, its students are averaged over 20 draws. There the teacher is far ahead; nothing here
#   speaks for or against its figures.
# - Its student starts from pretrained word vectors that are another download. Here they come from the
#   teacher's own table.
# - The documentation of the authors' code writes KL with its arguments in the other order and without T²;
#   the code computes what section 3 does. Their "mse" is the one of section 4.
# - In their code of the time, the teacher's answer for *piece* n was compared with the student's for
#   *word* n. Here a word's answer is that of its first piece.
# - In theirs, padding takes part in the CNN's maximum and in the backward LSTM, and the letter a has
#   the row of the padding. [tagger.py](../../minift/compact/tagger.py) and
#   [vocabulary.py](../../minift/compact/vocabulary.py) list the rest.
#
# ## Further reading
#
# - Izsak, Guskin, Wasserblat (2019), [Training Compact Models for Low Resource Entity Tagging using
#   Pre-trained Language Models](https://arxiv.org/abs/1910.06294)
# - Hinton, Vinyals, Dean (2015), [Distilling the Knowledge in a Neural
#   Network](https://arxiv.org/abs/1503.02531)
# - Lafferty, McCallum, Pereira (2001), [Conditional Random
#   Fields](https://repository.upenn.edu/cis_papers/159/): section 2 in full
# - Ma, Hovy (2016), [End-to-end Sequence Labeling via Bi-directional
#   LSTM-CNNs-CRF](https://arxiv.org/abs/1603.01354), the family the student belongs to
# - Mukherjee, Awadallah (2020), [XtremeDistil: Multi-stage Distillation for Massive Multilingual
#   Models](https://arxiv.org/abs/2004.05686)
# - Furlanello, Lipton, Tschannen, Itti, Anandkumar (2018), [Born Again Neural
#   Networks](https://arxiv.org/abs/1805.04770): students that overtake their teachers
#
# **Assignment.** [A compact tagger: what a teacher says, what a byte costs](assignment.md)
