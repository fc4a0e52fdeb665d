"""Several processes, one result: what they deal out, sum and merge.

    torchrun --nproc-per-node 4 -m minift train --data sst2 --method full

Claim    Training: the examples of each step are dealt out, the gradients of the *sum* of losses
         over the number of all targets are added up, and every process takes the same step; so
         the weights are those of one process up to the order of a sum, and the same bytes in
         every process. Prediction: the *batches* are dealt out, so the results are those of one
         process, bit for bit. If a process ends, torchrun ends the others.
Differs  - Not `DistributedDataParallel`, which takes the mean of the processes' means: a process
           with fewer targets would weigh each of them more.
         - Dropout masks come from a stream of each process's own (`own_seed`), so with dropout a
           run depends on the number of processes. Order, head, gradient masks and subset do not.
         - Messages are pickled and unencrypted: keep the network of several machines to yourself.
Proof    tests/runs/test_processes.py
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from minift.checkpoints.weights import weights_digest
from minift.errors import MiniftError
from minift.training.loop import Team
from minift.version import __version__

T = TypeVar("T")
TIME_LIMIT = 600.0  # seconds that processes wait for each other; one that has died is heard at once
GRACE = 5.0  # seconds for torchrun to end this process, because another has ended and said why


def rank() -> int:
    """Return the number of this process; 0 writes all files and talks to the user."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def my_share(values: Sequence[T]) -> Sequence[T]:
    """Deal out values in turn and return this process's; all of them where it is alone."""
    return values[rank() :: world_size()]


def own_seed(seed: int) -> int:
    """Return a seed that no other process has, nor any process under another seed."""
    return seed * world_size() + rank()


def sum_over_ranks(tensors: Iterable[Tensor]) -> None:
    """Replace tensors of one type by their sums over all processes, in a single message."""
    tensors = list(tensors)
    if world_size() == 1 or not tensors:
        return
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    _together(lambda: dist.all_reduce(flat))
    parts = flat.split([tensor.numel() for tensor in tensors])
    with torch.no_grad():
        for tensor, part in zip(tensors, parts):
            tensor.copy_(part.view(tensor.shape))


def add_up(model: nn.Module, loss: float) -> float:
    """Sum all gradients over the processes, and return the sum of their losses.

    A parameter that no process has a gradient for keeps None.
    """
    if world_size() == 1:
        return loss
    learning = [p for p in model.parameters() if p.requires_grad]
    there = learning[0].new_tensor([p.grad is not None for p in learning])
    for parameter in learning:
        if parameter.grad is None:  # this process had no example that reads it
            parameter.grad = torch.zeros_like(parameter)
    sum_over_ranks([*(p.grad for p in learning if p.grad is not None), there])
    for parameter, processes in zip(learning, there.tolist()):
        if processes == 0:  # the optimizer must not decay what one process would leave alone
            parameter.grad = None
    box = torch.tensor([loss], dtype=torch.float64)
    sum_over_ranks([box])
    return float(box)


# How all processes of a run share the steps of training.
TEAM = Team(my_share, add_up, sum_over_ranks)


def from_all(value: T) -> list[T]:
    """Return the value of each process, in the order of their ranks."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    _together(lambda: dist.all_gather_object(values, value))
    return values


def from_first(value: T) -> T:
    """Return the first process's value."""
    if world_size() == 1:
        return value
    box = [value]
    _together(lambda: dist.broadcast_object_list(box, src=0))
    return box[0]


def merged(rows: dict[int, Tensor]) -> list[Tensor]:
    """Return the rows of all processes in the order of their numbers 0, 1, ..., on the CPU."""
    if world_size() > 1:  # as arrays: a pickled tensor brings the batch that it is a part of
        parts = from_all({number: row.numpy() for number, row in rows.items()})
        rows = {n: torch.from_numpy(row) for part in parts for n, row in part.items()}
    return [rows[number] for number in range(len(rows))]


def require_same(values: Mapping[str, Any]) -> None:
    """Refuse, in every process, to go on unless all have the same values."""
    first, *others = from_all(dict(values))
    for number, other in enumerate(others, 1):
        for name in first:
            if other[name] != first[name]:
                raise MiniftError(
                    f"rank {number} differs from rank 0 in its {name}: {other[name]!r}, not "
                    f"{first[name]!r}; start all ranks with the same command, files and versions"
                )


def require_same_weights(model: nn.Module) -> None:
    """Refuse to go on unless all processes have the same model, bit for bit."""
    if world_size() > 1:
        require_same({"weights": weights_digest(model)})


def require_enough(examples: int) -> None:
    """Refuse more processes than a step has examples."""
    if examples < world_size():
        raise MiniftError(
            f"{world_size()} processes would share {examples} examples per step, so some would "
            f"never have one; start at most {examples} (torchrun --nproc-per-node), or take a "
            "larger --batch-size or more --labels"
        )


def _together(message: Callable[[], object]) -> None:
    """Exchange a message with all processes."""
    try:
        message()
    except RuntimeError as error:
        time.sleep(GRACE)
        raise MiniftError(
            f"the processes lost each other, or one hangs (they wait {TIME_LIMIT:g} s for "
            f"each other): {str(error).splitlines()[0]}"
        ) from error


@contextlib.contextmanager
def several(command: Sequence[str], device: str = "cpu") -> Iterator[None]:
    """Join the processes that torchrun has started, for the time of the block.

    Inside, all but the first are silent. An error of another comes out of its block with its rank.
    `command`, what this process was asked to do, must be the same for all; with the device "cuda",
    or "auto" and a GPU, process k of a machine takes its GPU k.
    """
    names = "RANK", "WORLD_SIZE", "LOCAL_RANK"
    number, size, local = (int(os.environ.get(name) or 0) for name in names)
    backend = "gloo"
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        if local >= torch.cuda.device_count():
            raise MiniftError(
                f"process {local} of this machine finds {torch.cuda.device_count()} GPUs; start "
                "one process per GPU (torchrun --nproc-per-node), or take --device cpu"
            )
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl"
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=TIME_LIMIT))
    except (RuntimeError, ValueError) as error:
        raise MiniftError(
            f"rank {number} could not join the {size} processes that WORLD_SIZE speaks of: "
            f"{str(error).splitlines()[0]}; start them with torchrun --nproc-per-node N -m minift"
        ) from error
    try:
        with contextlib.ExitStack() as silence:
            if number > 0:
                nowhere = silence.enter_context(open(os.devnull, "w"))  # noqa: PTH123
                silence.enter_context(contextlib.redirect_stdout(nowhere))
                silence.enter_context(contextlib.redirect_stderr(nowhere))
            require_same(
                {"command": list(command), "minift": __version__, "torch": torch.__version__}
            )
            yield
            from_all(None)  # all are done
    except MiniftError as error:
        if number == 0:
            raise
        time.sleep(GRACE)  # what all have met the first says alone
        raise MiniftError(f"rank {number} of {size}: {error}") from error
    dist.destroy_process_group()
