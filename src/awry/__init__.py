"""awry: a workbench for the science of reward hacking."""

__version__ = "0.1.0"
