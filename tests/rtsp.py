"""A camera that speaks RTSP, small enough to read: motion JPEG (RFC 2435) over one TCP connection.

OpenCV's FFmpeg asks for RTP within the RTSP connection first, so nothing else needs to be served.
"""

from __future__ import annotations

import base64
import io
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from tests.runs import picture

__all__ = ["SIZE", "rtsp_camera"]

SIZE = (64, 48)
"""Of its frames: multiples of 8 pixels, as RFC 2435 counts."""

_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=line3\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:1\r\n"
)
_KEY = base64.b64encode(b"user:secret").decode()


@contextmanager
def rtsp_camera(frames: int, *, every_s: float = 0.02, connections: int = 99) -> Iterator[str]:
    """Yield the URL; each of ``connections`` connections gets ``frames`` frames, then breaks.

    Frame n is ``picture(n, SIZE)``, as far as JPEG lets it. User and password of the URL are asked
    for.
    """
    left = [connections]

    class Camera(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while (request := _request(self.rfile)) is not None:
                method, headers = request
                if headers.get("authorization") != f"Basic {_KEY}" and method != "OPTIONS":
                    self._answer(
                        headers, "401 Unauthorized", 'WWW-Authenticate: Basic realm="line"'
                    )
                elif method == "DESCRIBE":
                    self._answer(headers, "200 OK", "Content-Type: application/sdp", body=_SDP)
                elif method == "SETUP":
                    self._answer(headers, "200 OK", f"Transport: {headers['transport']}")
                elif method == "PLAY":
                    if left[0]:
                        left[0] -= 1
                        self._answer(headers, "200 OK")
                        self._play()
                    return
                else:
                    self._answer(headers, "200 OK", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN")

        def _answer(self, asked: dict[str, str], status: str, *lines: str, body: str = "") -> None:
            head = [f"RTSP/1.0 {status}", f"CSeq: {asked['cseq']}", "Session: 1", *lines]
            head.append(f"Content-Length: {len(body)}")
            self.wfile.write(("\r\n".join(head) + f"\r\n\r\n{body}").encode())

        def _play(self) -> None:
            sequence = 0
            try:
                for number in range(frames):
                    for packet in _packets(number, sequence, int(number * every_s * 90_000)):
                        self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                        sequence += 1
                    time.sleep(every_s)
            except OSError:
                return

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"rtsp://user:secret@127.0.0.1:{server.server_address[1]}/line3"
    finally:
        server.shutdown()
        server.server_close()


def _request(file: io.BufferedIOBase) -> tuple[str, dict[str, str]] | None:
    lines = []
    while line := file.readline().decode().strip():
        lines.append(line)
    if not lines:
        return None
    pairs = (line.partition(":") for line in lines[1:])
    return lines[0].split()[0], {name.lower(): value.strip() for name, _, value in pairs}


def _packets(number: int, sequence: int, clock: int) -> Iterator[bytes]:
    """RTP packets of one frame, the quantisation tables in the first one."""
    tables, scan = _jpeg(number)
    width, height = SIZE
    for start in range(0, len(scan), 1200):
        part = scan[start : start + 1200]
        last = start + len(part) == len(scan)
        rtp = struct.pack(">BBHII", 0x80, 26 | 0x80 * last, sequence, clock, 1)
        # Type 1 is 4:2:0; Q 255 says that the tables come along.
        head = struct.pack(">IBBBB", start, 1, 255, width // 8, height // 8)
        yield (
            rtp + head + (struct.pack(">HH", 0, len(tables)) + tables if not start else b"") + part
        )
        sequence += 1


def _jpeg(number: int) -> tuple[bytes, bytes]:
    """Both quantisation tables and the scan of a frame; its Huffman tables are the standard's."""
    file = io.BytesIO()
    Image.fromarray(picture(number, SIZE)).save(file, "JPEG", quality=95, subsampling="4:2:0")
    data, place, tables = file.getvalue(), 2, b""
    while True:
        marker, length = struct.unpack(">HH", data[place : place + 4])
        segment = data[place + 4 : place + 2 + length]
        place += 2 + length
        if marker == 0xFFDB:
            tables += b"".join(segment[i + 1 : i + 65] for i in range(0, len(segment), 65))
        elif marker == 0xFFDA:
            return tables, data[place:-2]
