from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    ROUND = 1
    STRAIGHT = 2


@dataclass
class Point:
    x: float
    y: float

    def moved(self, dx, dy):
        return Point(self.x + dx, self.y + dy)


@dataclass
class Shape:
    name: str
    center: Point
    tags: list = field(default_factory=list)
    kind = Kind.STRAIGHT

    def area(self):
        raise NotImplementedError

    def describe(self):
        return f"{self.name} at ({self.center.x:.1f}, {self.center.y:.1f}): {self.area():.2f}"


@dataclass
class Circle(Shape):
    radius: float = 1.0
    kind = Kind.ROUND

    def area(self):
        return 3.14159 * self.radius**2


@dataclass
class Box(Shape):
    width: float = 1.0
    height: float = 1.0

    def area(self):
        return self.width * self.height

    def __eq__(self, other):
        return isinstance(other, Box) and self.area() == other.area()


class Scene:
    def __init__(self):
        self._shapes = []
        self._index = {}

    def add(self, shape):
        self._shapes.append(shape)
        self._index.setdefault(shape.kind, []).append(shape)
        return self

    def __len__(self):
        return len(self._shapes)

    def __iter__(self):
        return iter(self._shapes)

    @property
    def total(self):
        return sum(shape.area() for shape in self._shapes)


scene = Scene()
for i in range(800):
    center = Point(i % 17, i % 23).moved(1.5, -0.5)
    if i % 2:
        scene.add(Circle(f"circle {i}", center, ["round"], radius=i % 7 + 0.5))
    else:
        scene.add(Box(f"box {i}", center, width=i % 5 + 1.0, height=2.0))
text = [shape.describe() for shape in scene]
ranked = sorted(scene, key=lambda shape: (shape.area(), shape.name))
pairs = sum(1 for a in ranked[::9] for b in ranked[::11] if a == b)
(len(scene), round(scene.total, 3), text[5], ranked[0].name, pairs, len(scene._index[Kind.ROUND]))
