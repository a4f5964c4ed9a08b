from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipvet.detectors import Detector
from clipvet.detectors.errors import UnfitEnvironment, UsageError
from clipvet.detectors.host._discovery import Selection
from clipvet.detectors.host._host import Host
from clipvet.detectors.host._plugins import PluginFailure, PluginSource
from tests.plugin_dists import DETECTOR, write_dist

GOOD = DETECTOR.format(cls="Fine", id="fine")
HOOK = "from clipvet.detectors import hookimpl\n\n@hookimpl\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path, with what was imported from it forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    for name in ("CLIPVET_PLUGINS", "CLIPVET_PLUGINS_STRICT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLIPVET_PLUGINS_DIR", str(tmp_path / "local"))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def failures_of(host: Host, dist: str) -> list[PluginFailure]:
    return [failure for failure in host.failures if failure.dist == dist]


def only_failure(host: Host, dist: str) -> PluginFailure:
    failures = failures_of(host, dist)
    assert len(failures) == 1, failures
    return failures[0]


def test_built_ins_come_through_their_entry_points(site: Path) -> None:
    host = Host.load()
    assert host.detectors["winclip"].builtin
    assert host.detectors["winclip"].plugin == "clipvet:winclip"
    assert {plugin.source.dist for plugin in host.plugins} >= {"clipvet"}


def test_a_third_party_detector_is_found_with_its_origin(site: Path) -> None:
    write_dist(site, "fine-dist", GOOD, version="2.3")
    entry = Host.load().detectors["fine"]
    assert (entry.dist, entry.version, entry.builtin) == ("fine-dist", "2.3", False)
    assert entry.plugin == "fine-dist:fine_dist"
    assert issubclass(entry.cls, Detector)


BROKEN = {
    "import": ("raise RuntimeError('no\\nluck')", "load", "RuntimeError", "no luck"),
    "syntax": ("def (", "load", "SyntaxError", "invalid syntax"),
    "missing": (None, "load", "ModuleNotFoundError", "broken"),
    "exit": ("import sys; sys.exit(3)", "load", "SystemExit", "3"),
    "base": ("raise BaseException('odd')", "load", "BaseException", "odd"),
    "skew": (
        "from clipvet.detectors import no_such_name",
        "load",
        "ImportError",
        "made for another version",
    ),
    "signature": (
        HOOK + "def clipvet_register_detectors(register, sauce): ...",
        "register",
        "PluginValidationError",
        "sauce",
    ),
    "unknown hook": (
        HOOK + "def clipvet_register_detector(register): ...",
        "validate",
        "PluginInvalid",
        "did you mean 'clipvet_register_detectors'",
    ),
    "unmarked": (
        "def clipvet_register_detectors(register): ...",
        "validate",
        "PluginInvalid",
        "not marked with @hookimpl",
    ),
    "nothing": ("x = 1", "validate", "PluginInvalid", "implements no hook"),
    "newer": ("requires_api = 99", "validate", "PluginInvalid", "asks for plugin API 99"),
    "hook raises": (
        HOOK + "def clipvet_register_detectors(register): raise KeyError('x')",
        "call",
        "KeyError",
        "'x'",
    ),
    "hook exits": (
        HOOK + "def clipvet_register_detectors(register): raise SystemExit",
        "call",
        "SystemExit",
        "no message",
    ),
    "not a detector": (
        HOOK + "def clipvet_register_detectors(register): register(int)",
        "validate",
        "PluginInvalid",
        "not a subclass of clipvet.detectors.Detector",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_reported_and_costs_nothing_else(site: Path, case: str) -> None:
    code, phase, exception, part = BROKEN[case]
    write_dist(site, "aa-broken", code, version="0.7")
    write_dist(site, "fine-dist", GOOD)
    host = Host.load()
    failure = only_failure(host, "aa-broken")
    assert (failure.version, failure.phase, failure.exception) == ("0.7", phase, exception)
    assert part in failure.message
    assert "\n" not in failure.message
    assert failure.entry_point == "aa_broken"
    assert {"fine", "winclip"} <= set(host.detectors)


def test_ctrl_c_is_not_swallowed(site: Path) -> None:
    write_dist(site, "interrupted", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Host.load()


def test_damaged_metadata_is_a_failure(site: Path) -> None:
    write_dist(site, "fine-dist", GOOD)
    (site / "fine_dist-1.0.dist-info" / "METADATA").write_bytes(b"\xff\xfe\x00")
    (site / "fine_dist-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff[clipvet]\n")
    host = Host.load()
    assert any("metadata cannot be read" in failure.message for failure in host.failures)
    assert "winclip" in host.detectors


def test_one_refused_registration_does_not_end_the_hook(site: Path) -> None:
    write_dist(site, "fine-dist", GOOD.replace("    register(", "    register(str)\n    register("))
    host = Host.load()
    assert "fine" in host.detectors
    assert "str" in only_failure(host, "fine-dist").message


def test_what_was_registered_before_a_hook_raised_stays(site: Path) -> None:
    write_dist(site, "fine-dist", GOOD + "    raise ValueError('late')\n")
    host = Host.load()
    assert "fine" in host.detectors
    assert only_failure(host, "fine-dist").phase == "call"


CLASSES = {
    "id = 'Fine'": "id must be a lower-case name",
    "task = 'magic'": "task is 'magic', and must be one of anomaly",
    "needs = frozenset({'cls_embd'})": "'cls_embd', which does not exist (did you mean 'cls_embed'",
    "needs = 'cls_embed'": "needs must be a set of names",
    "queries = frozenset({'mood'})": "queries has 'mood'",
    "Options = dict": "Options must be a subclass of clipvet.detectors.DetectorOptions",
    "version = ''": "version must be a non-empty string",
    "learns = True": "does not implement fit, save, load",
    "requires_api = 7": "asks for plugin API 7, this clipvet has 1",
    "requires_api = 'new'": "must be a whole number",
}


@pytest.mark.parametrize("line", CLASSES)
def test_detector_classes_are_validated_at_registration(site: Path, line: str) -> None:
    code = GOOD.replace("    def score", f"    {line}\n\n    def score")
    write_dist(site, "fine-dist", code)
    host = Host.load()
    failure = only_failure(host, "fine-dist")
    assert failure.phase == "validate"
    assert CLASSES[line] in failure.message
    assert not [name for name in host.detectors if "ine" in name and name != "winclip"]


def test_an_abstract_detector_is_refused(site: Path) -> None:
    write_dist(site, "fine-dist", GOOD.replace("def score", "def scare"))
    assert "does not implement score" in only_failure(Host.load(), "fine-dist").message


def test_two_distributions_may_share_an_entry_point_name(site: Path) -> None:
    write_dist(site, "one", DETECTOR.format(cls="A", id="a"), entry_point="clip")
    write_dist(site, "two", DETECTOR.format(cls="B", id="b"), entry_point="clip")
    host = Host.load()
    assert {"a", "b"} <= set(host.detectors)
    assert [p.source.name for p in host.plugins if not p.source.builtin] == ["one:clip", "two:clip"]


def test_two_third_parties_with_one_id_are_both_kept_and_named(site: Path) -> None:
    write_dist(site, "one", GOOD)
    write_dist(site, "two", GOOD)
    host = Host.load()
    assert "fine" not in host.detectors
    assert {"one:fine", "two:fine"} <= set(host.detectors)
    for dist, other in (("one", "two"), ("two", "one")):
        failure = only_failure(host, dist)
        assert failure.exception == "NameClash"
        assert f"{other} 1.0" in failure.message
    with pytest.raises(UsageError, match=r"by one 1\.0 and two 1\.0: ask for one:fine or two:fine"):
        host.detector("fine")
    assert host.detector("two:fine").dist == "two"


def test_a_built_in_keeps_its_id(site: Path) -> None:
    write_dist(site, "copycat", DETECTOR.format(cls="Copy", id="winclip"))
    host = Host.load()
    assert host.detector("winclip").builtin
    assert host.detector("copycat:winclip").dist == "copycat"
    assert "clipvet" in only_failure(host, "copycat").message


def test_one_distribution_cannot_register_an_id_twice(site: Path) -> None:
    write_dist(site, "one", GOOD + "    register(Fine)\n")
    host = Host.load()
    assert "fine" in host.detectors
    assert "already registered by one 1.0" in only_failure(host, "one").message


def test_looking_up_a_detector_helps(site: Path) -> None:
    write_dist(site, "fine-dist", GOOD)
    host = Host.load()
    assert host.detector("fine-dist:fine") is host.detector("fine")
    with pytest.raises(UsageError, match=r"no detector 'wincip' \(did you mean 'winclip'\?\)"):
        host.detector("wincip")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {"one", "two", "clipvet"}),
        ("", {"clipvet"}),
        ("one", {"one", "clipvet"}),
        ("one:o", {"one", "clipvet"}),
        ("o,two", {"one", "two", "clipvet"}),
        ("-one", {"two", "clipvet"}),
        ("one,two,-t", {"one", "clipvet"}),
        ("-clipvet", {"one", "two"}),
    ],
)
def test_selection(text: str | None, expected: set[str]) -> None:
    sources = [
        PluginSource(dist="one", version="1", entry_point="o"),
        PluginSource(dist="two", version="1", entry_point="t"),
        PluginSource(dist="clipvet", version="1", entry_point="winclip"),
    ]
    selection = Selection.parse(text)
    assert {source.dist for source in sources if selection.takes(source)} == expected
    assert selection.unmatched(sources) == []


def test_selection_by_variable(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dist(site, "aa-broken", "raise RuntimeError")
    write_dist(site, "fine-dist", GOOD)
    monkeypatch.setenv("CLIPVET_PLUGINS", "-aa-broken, -no-such")
    host = Host.load()
    assert "fine" in host.detectors
    assert failures_of(host, "aa-broken") == []
    assert "names 'no-such'" in only_failure(host, "no-such").message
    assert "fine" not in Host.load(select="").detectors


def test_one_file_plugins(site: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.mkdir()
    (local / "mine.py").write_text(GOOD, "utf-8")
    (local / "other-one.py").write_text("1 / 0", "utf-8")
    (local / "_helper.py").write_text("1 / 0", "utf-8")
    host = Host.load()
    entry = host.detectors["fine"]
    assert (entry.dist, entry.version, entry.builtin) == ("mine.py", "local", False)
    assert only_failure(host, "other-one.py").exception == "ZeroDivisionError"
    assert failures_of(host, "_helper.py") == []
    assert "fine" not in Host.load(plugins_dir=tmp_path / "elsewhere").detectors


def test_strict_turns_failures_into_an_error(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dist(site, "aa-broken", "raise RuntimeError('so')")
    with pytest.raises(UnfitEnvironment, match=r"plugin aa-broken 1\.0 \(aa_broken\), load: Runt"):
        Host.load(strict=True, select="aa-broken,-mini")
    monkeypatch.setenv("CLIPVET_PLUGINS_STRICT", "1")
    with pytest.raises(UnfitEnvironment):
        Host.load()
    assert failures_of(Host.load(strict=False), "aa-broken")


def test_plugins_cannot_print_on_standard_output(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dist(site, "chatty", "print('hello')\n" + GOOD + "    print('again')\n")
    Host.load()
    out, err = capsys.readouterr()
    assert out == ""
    assert "hello" in err
    assert "again" in err


def test_hook_calls_are_traced(
    site: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dist(site, "fine-dist", GOOD + "    register(int)\n")
    write_dist(site, "late-dist", DETECTOR.format(cls="Late", id="late") + "    1 / 0\n")
    write_dist(site, "aa-broken", "raise RuntimeError('so')")
    logger = logging.getLogger("clipvet.plugins")
    monkeypatch.setattr(logger, "level", logger.level)
    Host.load()
    assert caplog.messages == []
    monkeypatch.setenv("CLIPVET_TRACE_PLUGINS", "1")
    Host.load(select="fine-dist,late-dist,aa-broken,-clipvet")
    told = [re.sub(r"\d+\.\d ms", "# ms", message) for message in caplog.messages]
    assert told == [
        "aa-broken 1.0 (aa_broken): import: raised, # ms",
        "fine-dist 1.0 (fine_dist): import: ok, # ms",
        "fine-dist 1.0 (fine_dist) registered detector 'fine'",
        "fine-dist 1.0 (fine_dist): clipvet_register_detectors: ok, 1 registered, 1 refused, # ms",
        "late-dist 1.0 (late_dist): import: ok, # ms",
        "late-dist 1.0 (late_dist) registered detector 'late'",
        "late-dist 1.0 (late_dist): clipvet_register_detectors: raised, 1 registered, # ms",
        *map(str, Host.load(select="fine-dist,late-dist,aa-broken,-clipvet").failures),
    ]


def test_an_odd_plugin_object_stays_by_itself(site: Path) -> None:
    code = """
        from clipvet.detectors import hookimpl
        class Odd:
            __hash__ = None
            def __eq__(self, other): raise RuntimeError("compared")
            @property
            def trap(self): raise RuntimeError("touched")
            @hookimpl
            def clipvet_register_readers(self, register): register(".odd", len)
        import sys
        sys.modules[__name__] = Odd()
    """
    write_dist(site, "aa-odd", code)
    write_dist(site, "fine-dist", GOOD)
    host = Host.load()
    assert "fine" in host.detectors
    assert only_failure(host, "aa-odd").message == "compared"


def test_no_plugin_is_loaded_at_import(site: Path) -> None:
    write_dist(site, "fine-dist", "print('loaded')\n" + GOOD)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import json, clipvet.detectors, clipvet.cli.plugins\n"
        "print(json.dumps([m for m in sys.modules if 'fine_dist' in m or 'clipvet.plugins' in m]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == []
