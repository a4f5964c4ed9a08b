"""Where the images of a run come from: folders, patterns, archives, videos, cameras, watching.

Public names are imported from ``clipvet.detectors``.
"""
