"""A connection from each process to the first: when one ends, all hear of it at once, and why.

Claim    When a process of a run dies, even by `kill -9`, the others end within moments, and the
         first says which it was. When one meets an error, its sentence is what the user reads.
Differs  Waiting for a message that never comes would take until the time limit, and torchrun
         alone names an exit code. Here the system closes a dead process's connection, and a
         thread hears that, whatever the process is busy with.
Proof    tests/runs/test_processes.py
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import threading
import time
from multiprocessing.connection import Connection, wait

import torch.distributed as dist

from minift.errors import MiniftError

SECONDS = 60  # to connect; all processes are there already
INTERRUPTED = 130  # exit code after Ctrl-C
STOPPED = 128 + signal.SIGTERM


class Lifeline:
    """What one process, `rank` of `size`, knows of the others' lives.

    The lowest `local_rank` speaks for its machine. `store` tells where at `address` rank 0 is.
    """

    def __init__(self, rank: int, size: int, local_rank: int, store: dist.Store, address: str):
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self.last_word = threading.Lock()  # taken once, by who ends this process
        try:
            self.peers = self._listen(store) if rank == 0 else self._call(store, address)
        except (OSError, EOFError) as error:
            raise MiniftError(f"rank {rank} found no way to the others: {error}") from error
        self.alive = dict(self.peers)  # who has not said goodbye
        alarm, self._ring = socket.socketpair()  # a thread cannot wait for a signal otherwise
        self._ring.setblocking(False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(self._ring.fileno(), warn_on_full_buffer=False)
        self.thread = threading.Thread(target=self._watch, args=(alarm,), daemon=True)
        self.thread.start()

    def _listen(self, store: dist.Store) -> dict[Connection, int]:
        """Rank 0: take the connections of all others."""
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        token = secrets.token_hex(16)  # others than our processes may call, too
        peers: dict[Connection, int] = {}
        with socket.create_server(("", 0), family=family, dualstack_ipv6=both) as server:
            server.settimeout(SECONDS)
            store.set("lifeline", f"{server.getsockname()[1]} {token}")
            while len(peers) < self.size - 1:
                caller = Connection(server.accept()[0].detach())
                with contextlib.suppress(OSError, EOFError, ValueError):
                    if not caller.poll(SECONDS):
                        continue
                    number, said = caller.recv_bytes(100).decode().split()
                    if secrets.compare_digest(said, token):
                        peers[caller] = int(number)
        return peers

    def _call(self, store: dist.Store, address: str) -> dict[Connection, int]:
        """Another rank: connect to rank 0."""
        port, token = store.get("lifeline").decode().split()
        link = socket.create_connection((address, int(port)), timeout=SECONDS)
        link.setblocking(True)
        connection = Connection(link.detach())
        connection.send_bytes(f"{self.rank} {token}".encode())
        return {connection: 0}

    def _watch(self, alarm: socket.socket) -> None:
        """The thread: until all others have said goodbye, or one is gone."""
        deadline: float | None = None
        while self.alive:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = wait([*self.alive, alarm], left)
            if not ready:
                self._end(STOPPED, f"rank {self.rank} was told to end (SIGTERM)")
            for source in ready:
                if source is alarm:
                    if signal.SIGTERM in alarm.recv(100) and deadline is None:
                        deadline = time.monotonic() + 1  # the reason may be on its way
                    continue
                assert isinstance(source, Connection)
                number = self.peers[source]
                try:
                    code, sentence = json.loads(source.recv_bytes())
                except (OSError, EOFError):
                    self._end(
                        1,
                        f"rank {number} of {self.size} ended without a word (killed, or out of "
                        "memory?), so all were ended; the same command begins again, or "
                        "resumes from its last checkpoint",
                        dead=number,
                    )
                else:
                    if sentence is not None:
                        self._end(code, sentence)
                    del self.alive[source]

    def _end(self, code: int, sentence: str, dead: int | None = None) -> None:
        """End this process on behalf of another, from the thread."""
        if code == INTERRUPTED:
            time.sleep(1)  # this process was interrupted too, and may have more to say
        self.last_word.acquire()
        self._tell(code, sentence)
        speaker = 1 if dead is not None and dead == self.rank - self.local_rank else 0
        if code != 0 and self.local_rank == speaker:
            os.write(2, f"minift: {sentence}\n".encode())
        os._exit(code)

    def _tell(self, code: int, sentence: str | None) -> None:
        for connection in self.peers:
            with contextlib.suppress(OSError):
                connection.send_bytes(json.dumps([code, sentence]).encode())

    def fail(self, code: int, sentence: str) -> None:
        """Let this process's error be the last word; then end it, unless it is the first."""
        self.last_word.acquire()  # never given back: the thread is to say nothing any more
        self._tell(code, f"rank {self.rank} of {self.size}: {sentence}")
        if self.rank == 0:
            return
        if self.local_rank != self.rank:  # not the machine of rank 0, which says it there
            os.write(2, f"minift: rank {self.rank}: {sentence}\n".encode())
        os._exit(code)

    def goodbye(self) -> None:
        """Wait until all are done."""
        self._tell(0, None)
        self.thread.join()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
