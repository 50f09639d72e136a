"""Hides the part of an image that lies on one side of a line, on the graphics card.

napari clips volumes, surfaces and points, but no images in 2D.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import ArrayLike, NDArray
from vispy.visuals import ImageVisual
from vispy.visuals.filters import Filter
from vispy.visuals.shaders import Varying

LINE = 2
"""Width of the line at the edge, in pixels of the screen; its dark borders are half as wide."""

# The distance is linear on the plane of an image, so its values at the corners are enough.
VERTEX = """
void measure_distance() {
    vec4 position = $to_scene(gl_Position);
    $distance = dot(position.xy / position.w - $point, $normal);
}
"""

FRAGMENT = """
void clip_at_line() {
    float pixel = length(vec2(dFdx($distance), dFdy($distance)));
    float from_line = $distance / max(pixel * $ratio, 1e-30);
    if (from_line < -$line)
        discard;
    if (from_line < $line)
        gl_FragColor = vec4(vec3(abs(from_line) < 0.5 * $line ? 1.0 : 0.0), 1.0);
}
"""


class LineClip(Filter):
    """Draws only what lies on one side of a line, and the line."""

    def __init__(self) -> None:
        super().__init__(vcode=VERTEX, vhook="post", fcode=FRAGMENT, fhook="post", fpos=8)
        distance = Varying("recolor_distance", "float")
        self.vshader["distance"] = self.fshader["distance"] = distance
        self.fshader["line"], self.fshader["ratio"] = float(LINE), 1.0
        self.put((0, 0), (1, 0))

    def put(self, point: ArrayLike, normal: ArrayLike) -> None:
        """Move the line.

        Parameters
        ----------
        point : array_like of 2 float
            A point of the line, x and y in the coordinates of the scene.
        normal : array_like of 2 float
            Points from the line to the side that is drawn; its length does not count.
        """
        unit: NDArray[np.float64] = np.asarray(normal, float)
        self.vshader["point"] = tuple(map(float, np.asarray(point)))
        self.vshader["normal"] = tuple(map(float, unit / np.linalg.norm(unit)))

    def _attach(self, visual: Any) -> None:
        super()._attach(visual)
        self.vshader["to_scene"] = visual.get_transform("render", "scene")
        self.fshader["ratio"] = float(visual.transforms.pixel_scale)


class ClippedLayers:
    """The layers of a viewer that are drawn only on one side of a line.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer. Without a window, nothing is drawn and nothing is clipped.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._clips: dict[Layer, list[tuple[Any, LineClip]]] = {}

    def clip(self, layers: Collection[Layer], point: ArrayLike, normal: ArrayLike) -> None:
        """Clip these layers, and no others.

        Parameters
        ----------
        layers : collection of Layer
            Image layers of the viewer, shown in 2D.
        point, normal : array_like of 2 float
            As in `LineClip.put`.
        """
        for layer in self._clips.keys() - set(layers):
            self._release(layer)
        for layer in layers:
            if layer not in self._clips:
                made = [(visual, LineClip()) for visual in visuals_of(self.viewer, layer)]
                for visual, clip in made:
                    visual.attach(clip)
                self._clips[layer] = made
            for visual, clip in self._clips[layer]:
                clip.put(point, normal)
                visual.update()

    def _release(self, layer: Layer) -> None:
        for visual, clip in self._clips.pop(layer):
            visual.detach(clip)
            visual.update()


def visuals_of(viewer: ViewerModel, layer: Layer) -> list[Any]:
    """Return what draws an image layer in 2D; the only access to napari's private objects here.

    An image that is larger than a texture is drawn by several visuals. There are none if the viewer
    has no window or if the layer is not in it.
    """
    window = getattr(viewer, "window", None)
    if window is None or layer not in viewer.layers:
        return []
    node = window._qt_viewer.canvas.layer_to_visual[layer].node
    return [one for one in (node, *node.children) if isinstance(one, ImageVisual)]
