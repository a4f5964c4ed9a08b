"""The record of one image, `clipvet.record/1`: model, building, ids, files.

Public names are imported from ``clipvet.detectors``.
"""
