"""What `track --out` writes, in a real browser: every frame of the input, and no other."""

import base64

import numpy as np
import pytest

from trackerlib.__main__ import main
from trackerlib.data.video_writer import VideoWriter, as_fraction

pytest.importorskip("av", reason="needs PyAV")
FRAMES = 40
LEVELS = 20 + 5 * (17 * np.arange(FRAMES) % 43)  # of grey: no two alike, none near the one before
# Seeks to the middle of each frame, and reads a pixel of what is shown.
PLAYER = """
  window.played = null;
  const video = document.createElement("video");
  video.muted = true;
  video.onerror = () => { window.played = video.error.message; };
  video.onloadeddata = async () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const levels = [];
    for (let frame = 0; frame < FRAMES; frame++) {
      const shown = new Promise((resolve) => { video.requestVideoFrameCallback(resolve); });
      video.currentTime = (frame + 0.5) / FPS;
      await shown;
      context.drawImage(video, 0, 0);
      levels.push(context.getImageData(40, 30, 1, 1).data[1]);
    }
    window.played = { state: video.readyState, duration: video.duration, levels };
  };
  video.src = "data:video/TYPE;base64,DATA";
"""


@pytest.mark.parametrize(("fps", "size"), [(25.0, (48, 64)), (239.762, (49, 65))])
@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_a_browser_shows_frame_k_at_its_time(browser, tmp_path, kind, fps, size):
    source = VideoWriter(tmp_path / "source.mkv", size[::-1], as_fraction(fps), fps)
    for number in range(FRAMES):
        source.write(np.full((*size, 3), LEVELS[number], np.uint8), number / fps)
    source.close()
    out = tmp_path / f"out.{kind}"
    command = ["track", str(source.path), "--box", "2,2,10,10", "--tracker", "identity"]
    assert main([*command, "--out", str(out)]) == 0
    script = PLAYER.replace("FRAMES", str(FRAMES)).replace("FPS", str(fps))
    data = base64.b64encode(out.read_bytes()).decode()
    browser.open("about:blank")
    browser.value(f"{{{script.replace('TYPE', kind).replace('DATA', data)}}}; 0")
    browser.wait("window.played !== null")
    played = browser.value("window.played")
    assert isinstance(played, dict), played
    assert played["state"] >= 2
    assert played["duration"] == pytest.approx(FRAMES / fps, abs=2e-3)
    shown = abs(np.array(played["levels"])[:, None] - LEVELS).argmin(1)
    assert shown.tolist() == list(range(FRAMES))
