"""What the cells to fill in of page 07 are judged by."""

from __future__ import annotations

import math

from turns import Turn

PENCIL = [0.90, 0.75, 0.78, 0.71, 0.73, 0.72, 0.70, 0.74, 0.74, 0.73, 0.72, 0.71, 0.73, 0.71]
PENCIL += [0.72, 0.69]


def _epochs(losses, patience, cooldown):
    """Count with sets: the run stops at the first epoch that is far enough behind its best."""
    for epoch in range(1, len(losses) + 1):
        done = losses[:epoch]
        if epoch - (done.index(min(done)) + 1) == patience + cooldown + 1:
            return epoch
    return len(losses)


def _pencil():
    """Let the library's machine answer."""
    from minift.methods.adaptive import AdaptiveSettings, replay

    states = replay(PENCIL, AdaptiveSettings())
    cooling = [state.phase == "cooldown" for state in states]
    first = cooling.index(True)
    return [states[first].epoch, states[cooling.index(False, first)].epoch, states[-1].epoch]


def _counted(losses, patience, cooldown, better, most):
    wait, best = 0, math.inf
    for epoch, loss in enumerate(losses, start=1):
        wait, best = (0, loss) if better(loss, best, losses[epoch - 2]) else (wait + 1, best)
        if wait == most(patience, cooldown):
            return epoch
    return len(losses)


def _below(loss, best, before):
    return loss < best


def _all(patience, cooldown):
    return patience + cooldown + 1


def _accepted(losses, min_delta):
    """Jump from each accepted loss to the next one that is low enough."""
    found, place = [1], 0
    while True:
        enough = losses[place] - min_delta
        later = [n for n in range(place + 1, len(losses)) if losses[n] < enough]
        if not later:
            return found
        place = later[0]
        found.append(place + 1)


def _by_lowest(losses, min_delta):
    pairs = enumerate(losses)
    return [n + 1 for n, loss in pairs if loss < min(losses[:n], default=math.inf) - min_delta]


def _by_previous(losses, min_delta):
    return [n + 1 for n, loss in enumerate(losses) if not n or loss < losses[n - 1] - min_delta]


def _any_fall(losses, min_delta):
    return _by_lowest(losses, 0)


TURNS = {
    "pencil": Turn(
        _pencil,
        [()],
        {
            "the run stops p + C + 1 epochs after its last best one": lambda: [3, 4, 14],
            "a loss must be below the best of all epochs, not only below the one before": lambda: [
                3,
                4,
                16,
            ],
            "that is the second cool-down; one came before it": lambda: [5, 7, 15],
        },
        "You have run the machine, cool-downs and all, without a computer.",
    ),
    "epochs": Turn(
        _epochs,
        [
            ([3, 2, 1, 1, 1, 1, 1, 1], 0, 0),
            ([3, 2, 1, 1, 1, 1, 1, 1], 1, 2),
            ([5, 4, 6, 5.5, 3, 4, 4, 4, 4, 4, 4], 1, 2),
            ([9, 8, 7, 6], 0, 7),
            ([9, 5, 8, 7.5, 7, 6.5, 6, 5.5, 5.4], 0, 4),
        ],
        {
            "a loss that stays is no improvement": lambda losses, p, c: _counted(
                losses, p, c, lambda loss, best, before: loss <= best, _all
            ),
            "p bad epochs are tolerated; it takes one more": lambda losses, p, c: _counted(
                losses, p, c, _below, lambda p, c: max(1, p + c)
            ),
            "a loss must be below the best of all epochs": lambda losses, p, c: _counted(
                losses,
                p,
                c,
                lambda loss, best, before: math.isinf(best) or loss < before,
                _all,
            ),
            "the epochs of the cool-down count, too": lambda losses, p, c: _counted(
                losses, p, c, _below, lambda p, c: p + 1
            ),
        },
        "With C = 0 this is plain early stopping.",
    ),
    "accepted": Turn(
        _accepted,
        [
            ([1.0, 0.9, 0.95, 0.8], 0.0),
            ([1.0, 0.9, 0.88, 0.8], 0.05),
            ([1.0, 0.97, 0.94, 0.91, 0.88], 0.05),
            ([1.0, 0.5, 0.8, 0.6], 0.1),
        ],
        {
            "small steps add up: compare with the last accepted loss, not with the lowest": (
                _by_lowest
            ),
            "compare with the last accepted loss, not with the epoch before": _by_previous,
            "an improvement must be larger than min_delta": _any_fall,
        },
        "Slow and steady progress counts.",
    ),
}
