"""clipvet.plugins: the built-in plugins, one package each.

They are registered exactly as a third party's are, through entry points of the group
``clipvet`` (see ``pyproject.toml``), and use the public surface of ``clipvet.detectors`` only.
"""

from __future__ import annotations

__all__: list[str] = []
