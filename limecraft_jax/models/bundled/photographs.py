"""Outlines on photographs that scikit-image brings along, as somebody drew them.

A region is one or more polygons, corners (column, row) in pixels of the whole photograph. Later
regions lie on top of earlier ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

Corners = tuple[tuple[int, int], ...]

# What EfficientNet-Lite0 is asked about: title and story.
STORIES = {
    "coffee": (
        "A cup of espresso",
        "The model is nearly certain: espresso. The cup is drawn as one region and the spoon as "
        "another. Which of them convinces it, and what is left for the table?",
    ),
    "camera": (
        "A cameraman, who is a tripod",
        "Of a thousand names none is cameraman, and the answer is tripod. Does the tripod alone "
        "carry it, or does it take a man who bends over a camera?",
    ),
    "astronaut": (
        "An astronaut, called a football helmet",
        "None of the thousand names is astronaut, so the model has to guess. Face and helmet are "
        "drawn: see which one misleads it, then remove that one on the page What if.",
    ),
    "chelsea": (
        "Chelsea the cat",
        "Tiger cat, Egyptian cat, tabby: all three come close. How much of it is in the face?",
    ),
    "rocket": (
        "A rocket on its pad",
        "It says missile, the nearest name it has. The rocket covers little of the picture: draw "
        "around it and see what the towers and the lights add.",
    ),
    "stereo_motorcycle": (
        "A motorcycle in a workshop",
        "It says moped, the nearest name it has. Many other things stand around: which of them "
        "speak against it?",
    ),
}

OUTLINES: dict[str, dict[str, tuple[Corners, ...]]] = {
    "coffee": {
        "cup": (
            (
                *((285, 18), (320, 21), (355, 34), (385, 58), (403, 85), (408, 112), (404, 140)),
                *((396, 168), (388, 190), (380, 208), (368, 224), (345, 238), (322, 246)),
                *((316, 254), (322, 264), (315, 278), (300, 284), (275, 284), (258, 278)),
                *((245, 290), (228, 306), (212, 309), (198, 298), (197, 275), (205, 250)),
                *((215, 236), (208, 225), (196, 205), (185, 175), (177, 145), (173, 110)),
                *((180, 80), (200, 50), (230, 30), (258, 20)),
            ),
        ),
        "spoon": (
            (
                *((377, 213), (388, 206), (384, 235), (398, 250), (405, 275), (400, 300)),
                *((385, 318), (362, 325), (340, 318), (328, 300), (327, 280), (335, 262)),
                *((352, 246), (370, 238)),
            ),
        ),
    },
    "camera": {
        "man": (
            (
                *((0, 258), (20, 232), (45, 180), (75, 142), (125, 124), (152, 105), (163, 100)),
                *((172, 82), (205, 63), (240, 75), (265, 100), (270, 125), (255, 140), (253, 168)),
                *((240, 180), (240, 200), (262, 212), (270, 240), (289, 255), (289, 285)),
                *((270, 300), (248, 312), (230, 308), (205, 295), (180, 330), (142, 380)),
                *((145, 420), (151, 511), (0, 511)),
            ),
        ),
        "camera": (
            ((250, 140), (323, 138), (326, 158), (318, 184), (275, 188), (262, 180), (250, 152)),
        ),
        "tripod": (
            (
                *((288, 190), (298, 190), (298, 312), (310, 318), (312, 332), (299, 345)),
                *((299, 485), (288, 485), (288, 345), (277, 330), (277, 312), (288, 312)),
            ),
            ((278, 328), (289, 332), (247, 485), (240, 511), (228, 511), (235, 480)),
            ((302, 328), (313, 328), (396, 488), (407, 511), (396, 511), (383, 485)),
        ),
    },
    "astronaut": {
        "face": (
            (
                *((192, 80), (215, 78), (245, 82), (265, 92), (270, 110), (267, 135), (258, 160)),
                *((245, 183), (225, 190), (205, 185), (188, 165), (181, 140), (180, 115)),
                *((183, 95),),
            ),
        ),
        "helmet": (
            (
                *((352, 352), (380, 345), (405, 344), (435, 350), (462, 368), (482, 395)),
                *((495, 430), (498, 455), (505, 460), (511, 480), (511, 511), (278, 511)),
                *((276, 480), (280, 450), (290, 415), (305, 388), (325, 368)),
            ),
        ),
    },
    "chelsea": {
        "face": (
            (
                *((115, 75), (160, 65), (210, 60), (270, 55), (330, 75), (362, 105), (362, 150)),
                *((345, 190), (320, 225), (300, 260), (265, 278), (225, 268), (190, 245)),
                *((155, 215), (130, 180), (120, 140), (112, 105)),
            ),
        ),
    },
}


def mask(name: str, shape: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """The regions of a photograph as grays: black outside, then one gray for each, white the last.

    Parameters
    ----------
    name
        Key in `OUTLINES`.
    shape
        (h, w) of the photograph.
    """
    from skimage.draw import polygon2mask

    regions = OUTLINES[name].values()
    drawn: UInt8[np.ndarray, "h w"] = np.zeros(shape, np.uint8)
    for number, polygons in enumerate(regions, 1):
        for corners in polygons:
            drawn[polygon2mask(shape, [(row, column) for column, row in corners])] = number
    return drawn / len(regions)
