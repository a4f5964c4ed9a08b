"""One pass for all detectors: runtimes, containment, merging of views.

Public names are imported from ``clipvet.detectors``.
"""
