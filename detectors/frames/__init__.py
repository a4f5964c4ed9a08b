"""From a file to views: decoding, orientation, bit depth, regions, tiles.

Public names are imported from ``clipvet.detectors``.
"""
