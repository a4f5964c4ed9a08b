"""ViM (Wang et al., CVPR 2022, arXiv 2203.10807) and its baselines: docs/detectors/vim.md."""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.vim._detector import Vim
from clipvet.plugins.vim._head import Head
from clipvet.plugins.vim._options import VimOptions
from clipvet.plugins.vim._statistics import Statistics

__all__ = [
    "Head",
    "Statistics",
    "Vim",
    "VimOptions",
    "clipvet_register_commands",
    "clipvet_register_detectors",
]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Give the host the one detector of this plugin."""
    register(Vim)


@hookimpl
def clipvet_register_commands(register: Any) -> None:
    """``detect x vim-merge``."""
    from clipvet.plugins.vim._merge import merge

    register("vim-merge", merge)
