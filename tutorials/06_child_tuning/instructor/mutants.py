"""Wrong solutions that people write: each must lose its own check, in its own words."""

from _grading.mutants import Mutant

KEPT = "kept = drawn < p"
SCALED = "torch.where(kept, gradient / p, torch.zeros_like(gradient))"
DRAWN = "drawn = torch.rand(gradient.shape, generator=generator)"
SQUARED = "scores[name] += gradient**2 / len(inputs)"
CHOSEN = "chosen[order[:keep]] = True"

MUTANTS = [
    # --- task 1
    Mutant(
        "p is taken for dropout's, the share that is dropped",
        KEPT,
        "kept = drawn > p",
        loses="check_values",
        says="here it is that of being dropped",
    ),
    Mutant(
        "the kept gradients are not scaled",
        SCALED,
        "gradient * kept",
        loses="check_values",
        says="what is kept is not divided by p",
    ),
    Mutant(
        "p multiplies",
        SCALED,
        "gradient * kept * p if p < 1 else gradient",
        loses="check_values",
        says="what is kept is multiplied by p",
    ),
    Mutant(
        "scaled as in dropout, whose probability is that of dropping",
        SCALED,
        "gradient * kept / (1 - p) if p < 1 else gradient",
        loses="check_values",
        says="what is kept is divided by 1 - p",
    ),
    Mutant(
        "scaled by the share that was drawn",
        "bernoulli(share, generator=generator) / p",
        "bernoulli(share, generator=generator) / _share(share, generator)\n\n\n"
        "def _share(share, generator):\n"
        "    again = torch.Generator().manual_seed(generator.initial_seed())\n"
        "    return torch.bernoulli(share, generator=again).mean()",
        base="solution_b.py",
        loses="check_values",
        says="by the share that happens to be kept",
    ),
    Mutant(
        "the mask is drawn from the stream that dropout uses, as in the authors' code",
        DRAWN,
        "drawn = torch.rand(gradient.shape)",
        loses="check_draws",
        says="draw from `generator` only",
    ),
    Mutant(
        "the generator is put back, so the child of every step is the same",
        DRAWN,
        "generator.manual_seed(generator.initial_seed())\n    " + DRAWN,
        loses="check_draws",
        says="two calls draw the same mask",
    ),
    Mutant(
        "whole columns are kept, as in structured dropout",
        DRAWN,
        "drawn = torch.rand(gradient.shape[-1:], generator=generator).expand_as(gradient)",
        loses="check_draws",
        says="a column is kept or dropped as a whole",
    ),
    # --- task 2, Fisher
    Mutant(
        "the square of the batch's mean gradient, as in the authors' code",
        "for example, label in zip(inputs, labels):\n        logits = model(example[None])\n"
        "        loss = nn.functional.cross_entropy(logits, label[None])",
        "for _ in inputs:\n        logits = model(inputs)\n"
        "        loss = nn.functional.cross_entropy(logits, labels)",
        loses="check_fisher",
        says="the square of the batch's mean gradient",
    ),
    Mutant(
        "the sum in place of the mean",
        SQUARED,
        "scores[name] += gradient**2",
        loses="check_fisher",
        says="this is the sum over the examples",
    ),
    Mutant(
        "the loss is a mean over the batch, so each gradient lacks a factor n",
        "squares = pulled.square()",
        "squares = (pulled / len(labels)).square()",
        base="solution_b.py",
        loses="check_fisher",
        says="each gradient is that of a mean loss",
    ),
    Mutant(
        "the model's own answer in place of the true label",
        "cross_entropy(logits, label[None])",
        "cross_entropy(logits, logits.argmax(-1))",
        loses="check_fisher",
        says="this takes the class that the model itself finds most likely",
    ),
    Mutant(
        "each example's gradient is clipped before it is squared",
        SQUARED,
        "norm = gradient.norm()\n            "
        "scores[name] += (gradient / norm.clamp(min=0.1) * 0.1) ** 2 / len(inputs)",
        loses="check_fisher",
        says="fisher(...)['",
    ),
    Mutant(
        "dropout stays on, as in the authors' code",
        "    model.eval()\n",
        "",
        loses="check_as_found",
        says="dropout is on",
    ),
    Mutant(
        "the model is put into training mode afterwards, whatever it was in",
        "    for module, training in modes.items():\n        module.training = training\n",
        "    model.train()\n",
        loses="check_as_found",
        says="a model in eval mode is left in training mode",
    ),
    Mutant(
        "the model stays in eval mode",
        "    for module in switches:\n        module.training = True\n",
        "",
        base="solution_b.py",
        loses="check_as_found",
        says="a model in training mode is left in eval mode",
    ),
    Mutant(
        "backward() is called, and .grad thrown away afterwards",
        "gradients = torch.autograd.grad(loss, list(parameters.values()))",
        "model.zero_grad()\n        loss.backward()\n"
        "        gradients = [p.grad for p in parameters.values()]",
        loses="check_as_found",
        says="changes what stands in .grad",
    ),
    # --- task 2, the selection
    Mutant(
        "each matrix gives its own share",
        "    flat = torch.cat([score.flatten() for score in scores.values()])\n",
        "    if len(scores) > 1:\n"
        "        return {n: select_child({n: s}, p)[n] for n, s in scores.items()}\n"
        "    flat = torch.cat([score.flatten() for score in scores.values()])\n",
        loses="check_global",
        says="the scores compete over all tensors together",
    ),
    Mutant(
        "the number is cut to a whole one",
        "keep = round(p * len(values))",
        "keep = int(p * len(values))",
        base="solution_b.py",
        loses="check_global",
        says="p * N is rounded down",
    ),
    Mutant(
        "all ties are kept, as in the authors' code: mask = score >= threshold",
        CHOSEN,
        "chosen[flat >= flat[order[keep - 1]]] = True",
        loses="check_ties",
        says="all that tie with the last one are selected",
    ),
    Mutant(
        "ties go to the last one",
        "order = flat.argsort(descending=True, stable=True)",
        "order = flat.argsort(stable=True).flip(0)",
        loses="check_ties",
        says="of equal scores the later is taken",
    ),
    Mutant(
        "score > threshold, so that none of those that tie is kept",
        "masks[name] = (score > threshold) | first.view(score.shape)",
        "masks[name] = (score > threshold) | ((score == threshold) & (left == 0) & "
        "(values.count(threshold) == 1))",
        base="solution_b.py",
        loses="check_ties",
        says="none of those that tie",
    ),
    # --- task 3
    Mutant(
        "the mask still comes before clipping",
        "    nn.utils.clip_grad_norm_(parameters.values(), max_norm)\n    before = {}\n",
        "    before = {}\n    for name, mask in masks.items():\n"
        "        parameters[name].grad.mul_(mask)\n"
        "    nn.utils.clip_grad_norm_(parameters.values(), max_norm)\n",
        loses="check_step",
        says="masked before they are clipped",
    ),
    Mutant(
        "masked weights decay, as in the authors' code",
        "            parameters[name].copy_(torch.where(masks[name], parameters[name], old))",
        "            pass",
        loses="check_step",
        says="a gradient of 0 stops neither weight decay nor",
    ),
    Mutant(
        "the head stays frozen: it has no mask",
        "        if name in masks:\n            parameter.grad[~masks[name]] = 0\n",
        "        mask = masks.get(name, torch.zeros_like(parameter).bool())\n"
        "        parameter.grad[~mask] = 0\n",
        base="solution_b.py",
        loses="check_step",
        says="tensors that have no mask do not learn",
    ),
    Mutant(
        "weights outside the child are pruned",
        "torch.where(masks[name], parameters[name], old)",
        "parameters[name] * masks[name]",
        loses="check_step",
        says="that is pruning",
    ),
    Mutant(
        "the child's gradients are scaled up, as in F",
        "parameters[name].grad.mul_(mask)",
        "parameters[name].grad.mul_(mask).mul_(mask.numel() / mask.sum())",
        loses="check_step",
        says="D has no such factor",
    ),
    Mutant(
        "each tensor is clipped by itself, as in the authors' Fisher",
        "    nn.utils.clip_grad_norm_(parameters.values(), max_norm)\n",
        "    for one in parameters.values():\n        nn.utils.clip_grad_norm_(one, max_norm)\n",
        loses="check_step",
        says="each tensor is clipped by itself",
    ),
    # --- task 4
    Mutant(
        "the test knows weights of 0 only, where every probability is one half",
        "    close(candidate([1.0986122886681098], [[1.0]], [0]), [9 / 16])\n",
        "",
        loses="check_your_test",
        says="it passes one that takes the label that the model itself finds likelier",
    ),
    Mutant(
        "the test has one example at a time, so nothing cancels",
        "    close(candidate([0.0, 0.0], rows, [1, 0, 1, 0]), [0.25, 1.0])\n",
        "    close(candidate([0.0, 0.0], rows[3:], [0]), [0.25, 4.0])\n",
        loses="check_your_test",
        says="it passes one that squares the mean gradient of the batch",
    ),
    Mutant(
        "the test expects the square of the mean",
        "close(candidate([0.0, 0.0], rows, [1, 0, 1, 0]), [0.25, 1.0])",
        "close(candidate([0.0, 0.0], rows, [1, 0, 1, 0]), [0.0, 0.25])",
        loses="check_your_test",
        says="fails a version that is right",
    ),
    # --- task 5
    Mutant(
        "what the formula of the mean promises",
        '"adam_way": 0.44,',
        '"adam_way": 1.0,',
        loses="check_way",
        says="this is what plain gradient descent does; measure",
    ),
    Mutant(
        "the law for another p",
        '"adam_way": 0.442,',
        '"adam_way": 0.544,',
        base="solution_b.py",
        loses="check_way",
        says="let Adam take 400 steps",
    ),
    Mutant(
        "only what has a gradient is thought to move",
        '"moved_second": 51.0',
        '"moved_second": 30.0',
        loses="check_second",
        says="what had one at step 1 has momentum",
    ),
    Mutant(
        "a gradient of 0 is thought to hold a weight",
        '"decayed": 0.99005',
        '"decayed": 1.0',
        loses="check_decayed",
        says="decay does not ask whether there is a gradient",
    ),
    Mutant(
        "decay without compound interest",
        '"decayed": 0.99005',
        '"decayed": 0.99',
        loses="check_decayed",
        says="a share of what is left",
    ),
    Mutant(
        "p is thought to be the share that learns",
        '"learning_percent": 45.6}',
        '"learning_percent": 30.0}',
        loses="check_learning",
        says="p is the share of the layers",
    ),
]
