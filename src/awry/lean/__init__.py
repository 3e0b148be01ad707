"""Lean 4 on a bare machine: elaboration, three grades of verifier, other toolchains."""
