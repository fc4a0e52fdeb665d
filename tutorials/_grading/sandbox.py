"""The room in which a student's code runs: Linux namespaces, made by the kernel and nobody else.

Claim    After `enter` a process sees a file system of its own, which has Python's packages (read
         only) and an empty folder to write to, and nothing else of this machine: no other process,
         no checkout, no hand-in, no results, no network. It is the user "nobody" without any
         capability, whoever started the grader, and what it starts ends with it. System calls
         that reach around that (keyrings, vsock, io_uring ...) are refused.
Differs  One way for an ordinary user and for root: a user namespace with mount, process, network
         and IPC namespaces in it. Needs Linux 5.12, and a kernel that lets this user make them.
         The filter names what is refused, not what is allowed: a hole in the kernel is a hole in
         this room.
Proof    tests/test_graders.py (attacks)

    zygote ── A waits, outside ── B first process of the room, builds it ── C student's code

Loaded by child.py; the grader itself does not import it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sys
from pathlib import Path

NOBODY = 65534
SCRATCH, LIBRARY = "/scratch", "/library"
SCRATCH_BYTES = 16 * 2**20
ROOM_BYTES = 4 * 2**20  # empty folders and symbolic links to hang the packages on

NEW_MOUNTS, NEW_CGROUP, NEW_NAMES, NEW_IPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEW_USERS, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
ALL = NEW_MOUNTS | NEW_CGROUP | NEW_NAMES | NEW_IPC | NEW_PROCESSES | NEW_NETWORK
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXECUTION = 1, 2, 4, 8
BIND, RECURSIVE, PRIVATE, DETACH = 0x1000, 0x4000, 0x40000, 2
AT_RECURSIVE, MOUNT_SETATTR = 0x8000, 442
# The kernel's name of a machine, and in which column its numbers of system calls stand.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1), "riscv64": (0xC00000F3, 1)}
PIVOT_ROOT, SOCKET = (155, 41), (41, 198)
# Keyrings outlive a process, memory of System V has no limit, io_uring goes past this filter.
REFUSED = {
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "unshare": (272, 97),
    "setns": (308, 268),
    "execve": (59, 221),
    "execveat": (322, 281),
}
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # steps of a filter
ALLOWED, NOT_PERMITTED, OTHER_NUMBERS, LOCAL = 0x7FFF0000, 0x50001, 0x40000000, 1
DEATH_SIGNAL, DUMPABLE, FILTER, DROP_BOUND, NO_NEW_PRIVILEGES, AMBIENT = 1, 4, 22, 24, 38, 47
SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store")
DEVICES = ("null", "zero", "full", "random", "urandom")


def python_paths() -> list[str]:
    """Return the folders that Python reads packages and libraries from.

    Of PYTHONPATH those alone that have packages in them: it may name a home, or "." too.
    """
    found = [*SYSTEM, "/etc/ld.so.cache", str(Path(os.__file__).parent)]
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix):
        found += [f"{prefix}/lib", f"{prefix}/lib64"]
    known = ("torch", "numpy")
    for entry in sys.path:
        if entry.endswith("-packages") or any(Path(entry, name).is_dir() for name in known):
            found.append(entry)
    return found


def enter(root: str, hidden: list[str], library: str) -> None:
    """Go into a new room; returns in its student's process, and in no other.

    Args:
        root: an empty folder, on which the room is built.
        hidden: what of Python's folders is taken away again.
        library: folder with the part of minift that the assignment allows, at /library.

    Raises:
        OSError: if the kernel refuses, before anything of the student's runs.
    """
    if platform.machine() not in MACHINES:
        raise OSError(f"the kernel's numbers are not known for {platform.machine()}")
    outside = os.geteuid(), os.getegid()
    os.umask(0o022)  # the room's folders are for another user, whatever a new file here is
    _unshare(outside)
    reading, writing = os.pipe()
    first = os.fork()
    if first:
        _wait_outside(first, reading, writing)
    os.close(reading)
    _prctl(DEATH_SIGNAL, signal.SIGKILL)  # of A; the room ends with its first process
    _build(root, hidden, library)
    student = os.fork()
    if student:
        _wait_inside(student, writing)
    os.close(writing)
    _become_nobody(outside[0] == 0)


def _wait_outside(first: int, reading: int, writing: int) -> None:
    """Wait for the room's end, and end in the way in which the student's process did."""
    os.close(writing)
    _let_go(keep=reading)
    told = os.read(reading, 4)
    os.waitpid(first, 0)
    status = os.waitstatus_to_exitcode(struct.unpack("i", told)[0]) if len(told) == 4 else 70
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status not in (9, 19) else None
        os.kill(os.getpid(), -status)
    os._exit(status & 255)


def _wait_inside(student: int, writing: int) -> None:
    _prctl(DUMPABLE, 0)
    _let_go(keep=writing)
    while True:
        pid, status = os.wait()
        if pid == student:
            os.write(writing, struct.pack("i", status))
            os._exit(0)  # and the kernel ends all others of the room


def _let_go(keep: int = -1) -> None:
    """Close the channel and the output: only the student's process holds them open."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (1, 2, 3):
        if descriptor != keep:
            os.dup2(nothing, descriptor)


def _unshare(outside: tuple[int, int]) -> None:
    """Make the namespaces. Root writes two users into the map: itself, and nobody."""
    root = outside[0] == 0
    told, tell = os.pipe()
    mapper = os.fork() if root else 0
    if root and not mapper:  # still outside, where it may map users that are not itself
        try:
            os.close(tell)
            if os.read(told, 1) == b"1":
                for name in ("uid_map", "gid_map"):
                    text = f"0 0 1\n{NOBODY} {NOBODY} 1\n"
                    Path(f"/proc/{os.getppid()}/{name}").write_text(text)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(told)
    users = True
    try:
        _call("unshare", ALL | NEW_USERS)
    except OSError:
        if not root:
            raise
        _call("unshare", ALL)  # root needs no user namespace, and may have been denied one
        users = False
    if root:
        os.write(tell, b"1" if users else b"0")
        if os.waitpid(mapper, 0)[1]:
            raise OSError("the users of the room cannot be mapped")
    else:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {outside[0]} 1\n")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {outside[1]} 1\n")
    os.close(tell)
    if users:  # no rooms in the room
        with contextlib.suppress(OSError):
            Path("/proc/sys/user/max_user_namespaces").write_text("0")


def _build(root: str, hidden: list[str], library: str) -> None:
    wanted = python_paths()
    hidden = [os.path.realpath(path) for path in [*hidden, *_copies_of_minift(wanted)]]
    wanted = [path for path in wanted if os.path.realpath(path) not in hidden]
    links, paths = _without_links(wanted)
    _mount("none", "/", "", RECURSIVE | PRIVATE)
    _mount("tmpfs", root, "tmpfs", NO_SUID | NO_DEVICES, f"size={ROOM_BYTES},mode=0755")
    shown: list[str] = []
    for link, target in links:
        place = Path(root + link)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
    for path in paths:
        if not any(_within(path, other) for other in shown):
            _show(path, root + path)
            shown.append(path)
    for path in sorted(set(hidden)):
        if any(_within(path, other) for other in shown) and Path(path).exists():
            if Path(path).is_dir():
                _mount("tmpfs", root + path, "tmpfs", 0, "size=4k,mode=0755")
            else:
                _mount("/dev/null", root + path, "", BIND)
    _show(library, root + LIBRARY)
    Path(root, "etc").mkdir(exist_ok=True)
    Path(root, "etc/passwd").write_text(f"student:x:{NOBODY}:{NOBODY}::{SCRATCH}:/bin/false\n")
    for name in (SCRATCH, "/dev"):
        Path(root + name).mkdir(exist_ok=True)
    for name in DEVICES:
        Path(f"{root}/dev/{name}").touch()
    # Everything is read only from here on, what is mounted below it too.
    attributes = struct.pack("4Q", READ_ONLY | NO_SUID | NO_DEVICES, 0, 0, 0)
    _call("syscall", MOUNT_SETATTR, -100, root.encode(), AT_RECURSIVE, attributes, len(attributes))
    for name in DEVICES:
        _mount(f"/dev/{name}", f"{root}/dev/{name}", "", BIND)
    options = f"size={SCRATCH_BYTES},nr_inodes=1000,mode=0777"
    _mount("tmpfs", root + SCRATCH, "tmpfs", NO_SUID | NO_DEVICES | NO_EXECUTION, options)
    os.chdir(root)
    _call("syscall", PIVOT_ROOT[MACHINES[platform.machine()][1]], b".", b".")
    _call("umount2", b".", DETACH)
    os.chdir(SCRATCH)


def _copies_of_minift(paths: list[str]) -> list[Path]:
    """Return where else minift is installed: it is run from a checkout as well as from there."""
    patterns = ("minift", "python3*/*-packages/minift")
    return [found for path in paths for pattern in patterns for found in Path(path).glob(pattern)]


def _without_links(visible: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the links on the way to what exists of these paths, and the paths they lead to."""
    links, paths = {}, set()
    for path in map(os.path.abspath, filter(os.path.exists, visible)):
        while path != os.path.realpath(path):
            names = path.split("/")
            prefixes = ("/".join(names[:n]) for n in range(2, len(names) + 1))
            link = next(prefix for prefix in prefixes if Path(prefix).is_symlink())
            links[link] = os.path.realpath(link)
            path = links[link] + path[len(link) :]
        paths.add(path)
    return sorted(links.items()), sorted(paths)


def _show(path: str, target: str) -> None:
    """Put a file or folder into the room."""
    made = Path(target)
    made.parent.mkdir(parents=True, exist_ok=True)
    made.mkdir(exist_ok=True) if Path(path).is_dir() else made.touch()
    _mount(path, target, "", BIND | RECURSIVE)


def _become_nobody(root: bool) -> None:
    for capability in range(64):
        with contextlib.suppress(OSError):
            _prctl(DROP_BOUND, capability)
    if root:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    with contextlib.suppress(OSError):
        _prctl(AMBIENT, 4)  # clear all
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    _call("capset", header, none)
    _prctl(NO_NEW_PRIVILEGES, 1)
    _prctl(DUMPABLE, 0)
    _filter_calls()


def _filter_calls() -> None:
    """Let the kernel refuse some system calls, and every socket but a local one."""
    machine, column = MACHINES[platform.machine()]
    refused = [numbers[column] for numbers in REFUSED.values()]
    allow = 7 + len(refused)
    refuse = allow + 1
    steps = [
        (LOAD, 4, 0, 0),  # of which machine is this call?
        (EQUAL, machine, 2, refuse),
        (LOAD, 0, 0, 0),  # which call?
        (AT_LEAST, OTHER_NUMBERS, refuse, 4),
        *((EQUAL, number, refuse, at) for at, number in enumerate(refused, start=5)),
        (EQUAL, SOCKET[column], allow - 2, allow),
        (LOAD, 16, 0, 0),  # its first argument
        (EQUAL, LOCAL, allow, refuse),
        (RETURN, ALLOWED, 0, 0),
        (RETURN, NOT_PERMITTED, 0, 0),
    ]
    packed = b"".join(
        struct.pack("HBBI", code, max(0, yes - at), max(0, no - at), number)
        for at, (code, number, yes, no) in enumerate(steps, start=1)  # both count from the next
    )
    program = ctypes.create_string_buffer(packed, len(packed))
    pair = struct.pack("HP", len(steps), ctypes.addressof(program))
    _call("prctl", FILTER, 2, pair, 0, 0)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    texts = (source.encode(), target.encode(), kind.encode())
    _call("mount", *texts, ctypes.c_ulong(flags), options.encode(), about=target)


def _prctl(option: int, value: int) -> None:
    _call("prctl", option, ctypes.c_ulong(value), 0, 0, 0)


def _call(name: str, *arguments: object, about: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if getattr(libc, name)(*wide) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}" + (f" ({about})" if about else ""))
