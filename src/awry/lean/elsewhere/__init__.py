"""Toolchains of the user: Lake projects, the community REPL, Kimina servers."""
