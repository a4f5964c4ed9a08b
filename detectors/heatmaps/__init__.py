"""Heatmaps as values, and what is made of them: files, regions, overlays.

Public names are imported from ``clipvet.detectors``.
"""
