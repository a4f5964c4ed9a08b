"""Recipes: fitting, calibration, verdicts, and the folder that holds them.

Public names are imported from ``clipvet.detectors``.
"""
