"""Runs past one machine: partitions of images, judged by workers on a Ray cluster.

Public names are imported from ``clipvet.detectors``.
"""
