"""What the system refuses a process: for programs that run alone, before they begin with anything else."""
import ctypes
import os


def drop_roots_rights():
    """Let the modes of files hold for this process though it is root's: no CAP_DAC_OVERRIDE, no CAP_DAC_READ_SEARCH."""
    if os.getuid() == 0:
        libc, header, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert libc.capget(header, sets) == 0
        sets[0], sets[1] = sets[0] & ~6, sets[1] & ~6       # those in effect, and those that are permitted
        assert libc.capset(header, sets) == 0


def mount_full_disk(folder):
    """Put a disk on which hardly anything fits at `folder`, for this process alone; OSError where nobody may."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_namespace, new_user, private = 0x20000, 0x10000000, 0x44000
    if not ((libc.unshare(new_namespace) == 0 or libc.unshare(new_namespace | new_user) == 0)
            and libc.mount(b"none", b"/", None, private, None) == 0
            and libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=4k,mode=700") == 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
