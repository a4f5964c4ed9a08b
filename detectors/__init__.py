"""The SDK of clipvet: frames, detectors, records, recipes, the plugin host, the Inspector.

Everything that a script or a plugin needs is imported from here; modules whose name starts with
an underscore are private. The CLIP runtime is in ``clipvet.detectors.clip``, the kit for plugin
authors in ``clipvet.detectors.testing``.
"""

from __future__ import annotations

from clipvet.detectors._arithmetic import top_mean, unit_rows
from clipvet.detectors._artefact import Artefact, BundleIdentity, check_free
from clipvet.detectors._counting import counted
from clipvet.detectors._detector import (
    Batch,
    Context,
    Detector,
    DetectorOptions,
    ImageGroup,
    ImageScores,
    Query,
    QueryKind,
    Score,
    Task,
)
from clipvet.detectors._doctor import Finding, examine
from clipvet.detectors._features import FEATURES, FeatureSpec
from clipvet.detectors._inspection import Inspection
from clipvet.detectors._inspector import Inspector
from clipvet.detectors._probes import examine_recipe
from clipvet.detectors._words import COMMON_WORDS, CommonWords, read_words
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.engine._results import DetectorSpec, RawResult
from clipvet.detectors.errors import (
    ArtefactMissing,
    BundleError,
    ClipvetError,
    DetectorError,
    FrameError,
    FrameRefused,
    FrameUnreadable,
    FrameUnsupported,
    MissingDependency,
    OfflineError,
    ProviderUnavailable,
    QueryMissing,
    RecipeError,
    UnfitEnvironment,
    UsageError,
)
from clipvet.detectors.evaluation._config import EvalConfig
from clipvet.detectors.evaluation._evaluate import EvalSummary, evaluate
from clipvet.detectors.evaluation._layout import TestImage, TestSet, find_test_set
from clipvet.detectors.evaluation._metrics import image_metrics, pixel_metrics
from clipvet.detectors.evaluation._pixels import PixelCounter
from clipvet.detectors.evaluation._schema import EVAL_SCHEMA, DetectorEvaluation, Evaluation
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._frames import Frame, is_candidate, read_frame
from clipvet.detectors.frames._views import Box, Region, Tiling, View, merge_heatmaps, plan_views
from clipvet.detectors.heatmaps._heatmaps import Heatmap, apply_mask
from clipvet.detectors.heatmaps._overlays import render_overlay
from clipvet.detectors.heatmaps._regions import RegionBox, find_regions
from clipvet.detectors.host._description import describe_detector
from clipvet.detectors.host._hookspecs import hookimpl
from clipvet.detectors.host._host import Host
from clipvet.detectors.host._plugins import DetectorEntry, PluginFailure, PluginRecord
from clipvet.detectors.host._template import new_plugin
from clipvet.detectors.isolation._limits import Isolation
from clipvet.detectors.recipes._accepted import Accepted
from clipvet.detectors.recipes._audit import Audit, Photograph
from clipvet.detectors.recipes._calibration import Calibration, Threshold
from clipvet.detectors.recipes._combination import Combination
from clipvet.detectors.recipes._drift import Drift, LineWatch
from clipvet.detectors.recipes._fit import FitConfig, FitProgress, FitSummary, fit
from clipvet.detectors.recipes._fit_like import fit_like
from clipvet.detectors.recipes._grouping import GroupBy, GroupCounts, KnownImage
from clipvet.detectors.recipes._plan import FIT_DETECTORS, FIT_GATES
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.recipes._refit import RefitConfig, refit
from clipvet.detectors.recipes._validation import Validation, ValidationRow
from clipvet.detectors.recipes._verdicts import Combined, Judged, Judgement, judge
from clipvet.detectors.records._files import RecordWriter, read_records, write_records
from clipvet.detectors.records._records import (
    RECORD_SCHEMA,
    CombinedFacts,
    DetectionRecord,
    HeatmapFacts,
    ImageFacts,
    ImageStatus,
    Record,
    RegionFacts,
    RuntimeFacts,
    ThresholdFacts,
    Verdict,
    record_schema,
)
from clipvet.detectors.reports._facts import RunFacts
from clipvet.detectors.reports._originals import Thumbnail, thumbnail
from clipvet.detectors.reports._write import ReportSummary, write_report
from clipvet.detectors.runs._config import RunConfig
from clipvet.detectors.runs._default_detectors import DEFAULT_DETECTORS, default_detectors
from clipvet.detectors.runs._folder import RunFolder
from clipvet.detectors.runs._questions import Questions
from clipvet.detectors.runs._regions import RegionFormat, write_regions
from clipvet.detectors.runs._report import Progress
from clipvet.detectors.runs._run import run
from clipvet.detectors.runs._scoring_config import ScoringConfig
from clipvet.detectors.runs._sinks import HeatmapMode, TableFormat
from clipvet.detectors.runs._tally import RunSummary, SetSummary, WorstImage
from clipvet.detectors.scale._merge import MergeSummary, merge_runs
from clipvet.detectors.scale._ray import RayPool, run_on_ray
from clipvet.detectors.sources._capture import Sampling
from clipvet.detectors.sources._given import SourceName, is_source
from clipvet.detectors.sources._shard import Shard
from clipvet.detectors.sources._walk import find_images
from clipvet.detectors.sources._watch import Watching

__all__ = [
    "Accepted",
    "Artefact",
    "ArtefactMissing",
    "Audit",
    "Batch",
    "Box",
    "BundleError",
    "BundleIdentity",
    "COMMON_WORDS",
    "Calibration",
    "ClipvetError",
    "Combination",
    "Combined",
    "CombinedFacts",
    "CommonWords",
    "Context",
    "DEFAULT_DETECTORS",
    "DecodePolicy",
    "DetectionRecord",
    "Detector",
    "DetectorEntry",
    "DetectorError",
    "DetectorEvaluation",
    "DetectorOptions",
    "DetectorSpec",
    "Drift",
    "EVAL_SCHEMA",
    "Engine",
    "EvalConfig",
    "EvalSummary",
    "Evaluation",
    "FEATURES",
    "FIT_DETECTORS",
    "FIT_GATES",
    "FeatureSpec",
    "Finding",
    "FitConfig",
    "FitProgress",
    "FitSummary",
    "Frame",
    "FrameError",
    "FrameRefused",
    "FrameUnreadable",
    "FrameUnsupported",
    "GroupBy",
    "GroupCounts",
    "Heatmap",
    "HeatmapFacts",
    "HeatmapMode",
    "Host",
    "ImageFacts",
    "ImageGroup",
    "ImageScores",
    "ImageStatus",
    "Inspection",
    "Inspector",
    "Isolation",
    "Judged",
    "Judgement",
    "KnownImage",
    "LineWatch",
    "MergeSummary",
    "MissingDependency",
    "OfflineError",
    "Photograph",
    "PixelCounter",
    "PluginFailure",
    "PluginRecord",
    "Progress",
    "ProviderUnavailable",
    "Query",
    "QueryKind",
    "QueryMissing",
    "Questions",
    "RECORD_SCHEMA",
    "RawResult",
    "RayPool",
    "Recipe",
    "RecipeError",
    "Record",
    "RecordWriter",
    "RefitConfig",
    "Region",
    "RegionBox",
    "RegionFacts",
    "RegionFormat",
    "ReportSummary",
    "RunConfig",
    "RunFacts",
    "RunFolder",
    "RunSummary",
    "RuntimeFacts",
    "Sampling",
    "Score",
    "ScoringConfig",
    "SetSummary",
    "Shard",
    "SourceName",
    "TableFormat",
    "Task",
    "TestImage",
    "TestSet",
    "Threshold",
    "ThresholdFacts",
    "Thumbnail",
    "Tiling",
    "UnfitEnvironment",
    "UsageError",
    "Validation",
    "ValidationRow",
    "Verdict",
    "View",
    "Watching",
    "WorstImage",
    "apply_mask",
    "check_free",
    "counted",
    "default_detectors",
    "describe_detector",
    "evaluate",
    "examine",
    "examine_recipe",
    "find_images",
    "find_regions",
    "find_test_set",
    "fit",
    "fit_like",
    "hookimpl",
    "image_metrics",
    "is_candidate",
    "is_source",
    "judge",
    "merge_heatmaps",
    "merge_runs",
    "new_plugin",
    "pixel_metrics",
    "plan_views",
    "read_frame",
    "read_records",
    "read_words",
    "record_schema",
    "refit",
    "render_overlay",
    "run",
    "run_on_ray",
    "thumbnail",
    "top_mean",
    "unit_rows",
    "write_records",
    "write_regions",
    "write_report",
]
