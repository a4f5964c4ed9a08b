"""Evaluation on labelled images: layouts, metrics, intervals, curves.

Public names are imported from ``clipvet.detectors``. Definitions: ``docs/eval.md``.
"""
