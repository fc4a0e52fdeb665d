"""Deal jobs out to processes: each takes the next one as soon as it is free.

Claim    A job's result is yielded as soon as it is there, whichever process it comes from; and a
         process that dies ends the work with a sentence that says why.
Proof    tests/runs/test_dealing.py
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch

from minift.errors import MiniftError

Job = TypeVar("Job")
Result = TypeVar("Result")
_own: Callable[[Any], Any]  # what a child does with its jobs


def deal(
    do: Callable[[Job], Result], jobs: Sequence[Job], processes: int = 1
) -> Iterator[tuple[Job, Result]]:
    """Do jobs, and yield each with its result as soon as it is finished.

    Args:
        do: with several processes a function of a module, or a `partial` of one.
        processes: 1 does the jobs here; with more each has its share of the threads.

    MiniftError: what a job raised, or a sentence about a process that died.
    """
    if processes == 1 or not jobs:
        yield from ((job, do(job)) for job in jobs)
        return
    spawn, threads = multiprocessing.get_context("spawn"), torch.get_num_threads() // processes
    others = multiprocessing.active_children()
    begin = do, max(1, threads), torch.are_deterministic_algorithms_enabled()
    pool = ProcessPoolExecutor(min(processes, len(jobs)), spawn, _begin, begin)
    try:
        dealt = {pool.submit(_do, job): job for job in jobs}
        for done in as_completed(dealt):
            yield dealt[done], done.result()
    except BrokenProcessPool as error:
        raise MiniftError(
            "a process ended in the middle of its job (most often a lack of memory: take fewer "
            "--processes); finished runs are kept, and the same command resumes"
        ) from error
    finally:
        for child in multiprocessing.active_children():
            if child not in others:
                child.kill()
        pool.shutdown(cancel_futures=True)


def _begin(do: Callable[[Any], Any], threads: int, deterministic: bool) -> None:
    global _own
    _own = do  # once for all jobs of a process, which may keep what they share
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and decides
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def _do(job: Any) -> Any:
    return _own(job)
