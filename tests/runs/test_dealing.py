"""Jobs dealt out to processes.

claim                                                   oracle
every job is done once, here or in several processes    the results of a plain loop
a job's error is raised, what came before is kept       the words; the results so far
a killed process ends the work with a reason            SIGKILL of itself, and no child is left
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal

import pytest
import torch

from minift.errors import MiniftError
from minift.runs.dealing import deal


def square(offset: int, job: int) -> tuple[int, int, int]:
    if job == 13:
        raise MiniftError("13 cannot be done")
    if job == 99:
        os.kill(os.getpid(), signal.SIGKILL)
    return offset + job * job, os.getpid(), torch.get_num_threads()


@pytest.mark.parametrize("processes", [1, 3])
def test_every_job_is_done_once_wherever_it_is_done(processes):
    found = dict(deal(functools.partial(square, 5), range(7), processes))
    assert {job: value for job, (value, *_) in found.items()} == {j: 5 + j * j for j in range(7)}
    here = {pid == os.getpid() for _, pid, _ in found.values()}
    assert here == {processes == 1}
    if processes > 1:
        assert {threads for *_, threads in found.values()} == {
            max(1, torch.get_num_threads() // processes)
        }
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("processes", [1, 2])
def test_the_error_of_a_job_is_raised_and_what_was_done_before_is_there(processes):
    done = {}
    with pytest.raises(MiniftError, match="13 cannot be done"):
        for job, result in deal(functools.partial(square, 0), [1, 2, 13], processes):
            done[job] = result[0]
    assert done == {1: 1, 2: 4} or processes > 1
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_ends_the_work_with_a_reason():
    with pytest.raises(MiniftError, match=r"a process ended .*memory"):
        list(deal(functools.partial(square, 0), [99, 1, 2], 2))
    assert multiprocessing.active_children() == []


def test_whoever_stops_listening_leaves_no_process_behind():
    for _ in deal(functools.partial(square, 0), range(20), 2):
        break
    assert multiprocessing.active_children() == []
