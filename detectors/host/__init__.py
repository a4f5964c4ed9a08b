"""The plugin host: hooks, discovery, loading, validation, names.

Public names are imported from ``clipvet.detectors``.
"""
