"""trackerlib/data/annotated_video.py: the video that `track --out` writes."""

import numpy as np
import pytest

from trackerlib.data.annotated_video import AnnotatedVideo
from trackerlib.data.sequence import FrameError

BOX = np.array([10.0, 5.0, 20.0, 10.0])


def test_an_annotated_video_begins_with_a_usable_frame(tmp_path):
    annotated = AnnotatedVideo(tmp_path / "out.mp4", 25)
    with pytest.raises(ValueError, match="expected a usable first frame, got: damaged"):
        annotated.write(FrameError("damaged"), BOX)
