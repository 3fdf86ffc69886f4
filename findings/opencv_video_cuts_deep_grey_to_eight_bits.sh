#!/usr/bin/env bash
# cv2.VideoCapture hands out a 16-bit grey video as 8-bit BGR, without an error or a warning:
# the lower byte of every pixel is gone.
#
# A guess would be that a lossless FFV1 file of gray16le (what thermal cameras and microscopes are
# archived in) comes as uint16, or is refused. A scene that spans 200 of the 65,536 levels, as
# thermal scenes do, keeps one or two of them, and a tracker sees a flat image. PyAV decodes the
# same file whole.
#
# Versions: opencv-python-headless 5.0.0.93, av 18.1.0, numpy 2.4.6. Source: observed here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet opencv-python-headless==5.0.0.93 av==18.1.0 numpy==2.4.6
cat > "$folder/deep.py" <<'PYTHON'
import sys

import av
import cv2
import numpy as np

path = sys.argv[1]
print("OpenCV", cv2.__version__, "PyAV", av.__version__, "NumPy", np.__version__)
scene = (7700 + np.arange(64 * 48) % 200).reshape(48, 64).astype(np.uint16)
with av.open(path, "w") as container:
    stream = container.add_stream("ffv1", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "gray16le"
    for packet in stream.encode(av.VideoFrame.from_ndarray(scene, format="gray16le")):
        container.mux(packet)
    for packet in stream.encode():
        container.mux(packet)
with av.open(path) as container:
    whole = next(container.decode(video=0)).to_ndarray()
read, frame = cv2.VideoCapture(path).read()
print("levels in the file:", len(np.unique(scene)), "by PyAV:", len(np.unique(whole)))
print("levels by cv2.VideoCapture:", len(np.unique(frame)), frame.dtype, frame.shape)
print("expected: 200 levels, uint16, or a refusal")
ok = read and frame.dtype == np.uint8 and len(np.unique(frame)) <= 2 and (whole == scene).all()
sys.exit(not ok)
PYTHON
"$folder/venv/bin/python" "$folder/deep.py" "$folder/deep.mkv"
