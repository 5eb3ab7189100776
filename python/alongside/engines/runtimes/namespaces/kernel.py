"""Make the system calls that Python 3.11 has no names for: namespaces, mounts, privileges.

Imported by scripts that start for each container, so it imports little itself.
"""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_PARENT = 0x00008000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_SLAVE = 1 << 19
MNT_DETACH = 2
_KEPT_FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC
"""What a bound mount may have that user namespaces are not allowed to take away."""

_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
CAPABILITIES = _NAMES.split()
"""In the order of their numbers, without CAP_."""

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE_NUMBERS = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
_SIGCHLD = 17

_libc = ctypes.CDLL(None, use_errno=True)


def setns(descriptor: int, kind: int = 0) -> None:
    """Enter a namespace; `kind` is its CLONE_NEW*, or 0 for whichever it is."""
    _check(_libc.setns(descriptor, kind), "setns")


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount; an empty `kind` or `data` is none."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        os.fsencode(data) or None,
    )
    _check(result, f"mount {source or kind} at {target}")


def bind(source: str, target: str) -> None:
    """Let a file or folder, with what is mounted below it, be seen at another place too."""
    mount(source, target, flags=MS_BIND | MS_REC)


def make_read_only(target: str) -> None:
    """Let one mount be read-only, with the flags that it has besides; others below it stay."""
    kept = os.statvfs(target).f_flag & _KEPT_FLAGS
    mount("none", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | kept)


def unmount(target: str) -> None:
    """Take a mount away, with what is below it, also where someone uses it."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """Let the mount `new` be the root, and the old one be seen at `old`."""
    _check(_libc.pivot_root(os.fsencode(new), os.fsencode(old)), "pivot_root")


def set_hostname(name: str) -> None:
    """Name this UTS namespace."""
    content = name.encode()
    _check(_libc.sethostname(content, ctypes.c_size_t(len(content))), "sethostname")


def die_with_parent(number: int) -> None:
    """Get a signal when the parent dies; 0 for none. Entering namespaces may undo it."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0), "prctl")


def be_readable() -> None:
    """Let /proc show this process to its user again, after its credentials have changed."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def default_signal(number: int) -> None:
    """Let a signal do what it does by itself; without the module for signals, which is slow."""
    _libc.signal(number, ctypes.c_void_p(0))


def ignore_signal(number: int) -> None:
    """Ignore a signal, also in the program that this process becomes."""
    _libc.signal(number, ctypes.c_void_p(1))


def fork_beside() -> int:
    """Fork a child of this process's parent; return 0 in it, its pid here.

    For a process with one thread; the child may only make system calls and exec.
    """
    machine = os.uname().machine
    if machine not in _CLONE_NUMBERS:
        raise OSError(f"no clone is known for {machine}")
    zero = ctypes.c_long(0)
    flags = ctypes.c_long(CLONE_PARENT | _SIGCHLD)
    number = ctypes.c_long(_CLONE_NUMBERS[machine])
    pid = int(_libc.syscall(number, flags, zero, zero, zero, zero))
    if pid < 0:
        _check(pid, "clone")
    return pid


def keep_capabilities(names: set[str]) -> None:
    """Let no program that is started from now on have capabilities but these; ALL is all.

    What was dropped before cannot be had again.
    """
    if "ALL" in names:
        return
    for number in range(64):
        if number < len(CAPABILITIES) and CAPABILITIES[number] in names:
            continue
        if _libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(number), 0, 0, 0) != 1:
            continue
        _check(_libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0), "prctl")
    _clear_inheritable()


def _clear_inheritable() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    """Effective, permitted, inheritable: of the capabilities 0 to 31, then of the others."""
    _check(_libc.capget(header, sets), "capget")
    sets[2] = sets[5] = 0
    _check(_libc.capset(header, sets), "capset")


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
