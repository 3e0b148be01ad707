"""`lean` as a command: the wheel's Lean. Run as `lean_program.py LIBRARY ARGUMENT...`."""

from __future__ import annotations

import ctypes
import os
import sys


def run(library: ctypes.CDLL, arguments: list[str]) -> int:
    words = [b"lean", *(a.encode() for a in arguments)]
    library.lean_main.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    return library.lean_main(len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None)) & 0xFF


if __name__ == "__main__":
    status = run(ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW), sys.argv[2:])
    ctypes.CDLL(None).exit(status)  # writes out what Lean has in its buffers
