"""The report of a run: one page to look at every image of it, worst first.

Public names are imported from ``clipvet.detectors``.
"""
