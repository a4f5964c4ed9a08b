"""A run over folders: walking, pipeline, run folder, sinks, summary.

Public names are imported from ``clipvet.detectors``.
"""
