"""Detectors of plugins in processes of their own, so that a crash costs their own scores only.

Public names are imported from ``clipvet.detectors``.
"""
