from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from clipvet.detectors import (
    DecodePolicy,
    DetectorSpec,
    Progress,
    RunConfig,
    Sampling,
    read_records,
    run,
)
from clipvet.detectors.records._ids import Labels
from clipvet.detectors.runs._reading import FileReader
from clipvet.detectors.sources._live import Live, is_live
from clipvet.detectors.sources._video import VideoFrame
from clipvet.detectors.testing import FakeRuntime
from tests.rtsp import rtsp_camera
from tests.runs import EVERYTHING, picture

READER = FileReader({}, DecodePolicy())
Serve = Callable[..., str]


def jpeg(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(number, (64, 48))).save(file, format="JPEG", quality=95)
    return file.getvalue()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A real stream on this machine: motion JPEG over HTTP, as cheap cameras send it."""
    servers = []

    def start(frames: int, *, every_s: float = 0.02, connections: int = 99) -> str:
        left = [connections]

        class Camera(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not left[0]:
                    return
                left[0] -= 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                try:
                    for number in range(frames):
                        data = jpeg(number)
                        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
                        self.wfile.write(head.encode() + b"\r\n\r\n" + data + b"\r\n")
                        time.sleep(every_s)
                except OSError:
                    return

            def log_message(self, *_words: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://user:secret@127.0.0.1:{server.server_port}/line3/main?token=secret"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def frames(live: Live) -> list[VideoFrame]:
    return [one for one in live if one is not None]


def test_a_stream_is_judged_live_and_its_end_is_a_problem(serve: Serve) -> None:
    live = Live(name=serve(20, connections=1), reconnect=1, first_wait=0.01)
    got = frames(live)
    port = live.name.partition("127.0.0.1:")[2].partition("/")[0]
    label = f"127.0.0.1-{port}-line3-main"
    assert [one.id for one in got] == [f"{label}/{n:06}" for n in range(1, len(got) + 1)]
    assert len(got) >= 3
    assert len(got) + live.ignored["frame dropped for a newer one"] == 20
    frame = got[0].read(READER)
    assert (frame.width, frame.height) == (64, 48)
    assert frame.notes[0].startswith("at 20")
    (problem,) = live.problems
    assert problem.startswith(f"http://127.0.0.1:{port}/line3/main: ")
    assert "broke after 20 frames and did not come back in 1 attempt" in problem
    assert "secret" not in f"{problem} {got[0].id} {frame.source} {live.labels.roots}"


def test_an_rtsp_camera_is_read_with_its_password_and_opened_again() -> None:
    with rtsp_camera(8, connections=2) as url:
        live = Live(name=url, reconnect=1, first_wait=0.01)
        got = frames(live)
    assert len(got) + live.ignored["frame dropped for a newer one"] == 16
    assert sum("first frame after the stream broke" in one.notes for one in got) == 1
    assert "/line3: broke after 16 frames and did not come back in 1 attempt" in live.problems[0]
    assert "secret" not in f"{live.problems} {got[0].id} {live.labels.roots}"
    last = got[-1].read(READER).pixels.astype(int)
    assert last.shape == (48, 64, 3)
    assert abs(last - picture(7, (64, 48)).astype(int)).mean() < 10


def test_slow_work_gets_the_newest_frame_and_knows_what_it_missed(serve: Serve) -> None:
    live = Live(name=serve(40, connections=1), reconnect=0)
    got = []
    for one in live:
        if one is not None:
            got.append(one)
            time.sleep(0.2)
    assert len(got) <= 12
    assert live.ignored["frame dropped for a newer one"] == 40 - len(got)
    assert any("frames dropped before it" in note for one in got for note in one.notes)
    last = got[-1].read(READER).pixels.astype(int)
    assert abs(last - picture(39, (64, 48)).astype(int)).mean() < 10, "not the newest frame"


def test_a_stream_that_breaks_is_opened_again(serve: Serve) -> None:
    live = Live(name=serve(5, connections=3), reconnect=2, first_wait=0.01)
    got = frames(live)
    assert len(got) + live.ignored["frame dropped for a newer one"] == 15
    assert sum("first frame after the stream broke" in one.notes for one in got) == 2
    assert "broke after 15 frames" in live.problems[0]


@pytest.mark.parametrize(("sampling", "at_most"), [(Sampling(every=5), 4), (Sampling(fps=10), 8)])
def test_sampling_of_a_stream(serve: Serve, sampling: Sampling, at_most: int) -> None:
    live = Live(name=serve(20, connections=1), reconnect=0, sampling=sampling)
    assert 1 <= len(frames(live)) <= at_most


def test_numbers_go_on_and_are_never_given_twice(serve: Serve) -> None:
    url = serve(3, connections=1)
    port = url.partition("127.0.0.1:")[2].partition("/")[0]
    label = f"127.0.0.1-{port}-line3-main"
    taken = {f"{label}/{n:06}" for n in (1, 2, 3, 5)}
    live = Live(name=url, reconnect=0, is_done=taken.__contains__, labels=Labels())
    got = [one.id for one in frames(live)]
    assert got == [f"{label}/{n:06}" for n in (4, 6, 7)][: len(got)]
    assert got


@pytest.mark.parametrize("name", ["camera:97", "rtsp://127.0.0.1:1/none"])
def test_what_is_not_there_ends_and_says_so(name: str) -> None:
    live = Live(name=name, reconnect=1, first_wait=0.01)
    assert frames(live) == []
    assert "cannot be opened: check that it is there and not in use" in live.problems[0]


def test_what_is_live() -> None:
    for name in ("camera:0", "camera:12", "rtsp://u:p@h:554/s", "http://h/v", "RTSP://h/x"):
        assert is_live(name)
    for name in ("camera:", "camera:x", "a/camera:0", "C:\\x", "rtsp://", "file:///x", "s3://x"):
        assert not is_live(name)


def test_the_label_of_a_camera() -> None:
    live = Live(name="camera:97", reconnect=0)
    list(live)
    assert live.labels.roots == {"camera-97": Path("camera:97")}


def test_a_run_over_a_stream_ends_on_ctrl_c_and_goes_on_with_new_numbers(
    serve: Serve, tmp_path: Path
) -> None:
    config = RunConfig(
        sources=[serve(60, every_s=0.03)], specs=(DetectorSpec(id="energy"),),
        out=tmp_path / "run", heatmaps="none", table="csv", reconnect=0,
    )  # fmt: skip

    def interrupt(progress: Progress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    for calls in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(config, host=EVERYTHING, runtime_factory=FakeRuntime, progress=interrupt)
        records = list(read_records(tmp_path / "run" / "records.jsonl"))
        numbers = [int(record.image.id.rpartition("/")[2]) for record in records]
        assert numbers == list(range(1, 3 * calls + 1))
        assert all(record.status == "ok" and record.image.notes for record in records)
        assert len((tmp_path / "run" / "records.csv").read_text().splitlines()) == len(records) + 1
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert state["status"] == "interrupted"
    assert "secret" not in json.dumps(state)
