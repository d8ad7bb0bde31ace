"""Colours and class numbers of recordings and data sets, by the names of CARLA's classes (see segmentation.py)."""

from __future__ import annotations

# What Cityscapes' own colours are for the tags beyond its nineteen classes; a lane mark is road there.
CITYSCAPES = {
    "road line": (128, 64, 128), "ground": (81, 0, 81), "bridge": (150, 100, 100), "rail track": (230, 150, 140),
    "guard rail": (180, 165, 180), "dynamic": (111, 74, 0), "static": (0, 0, 0), "other": (0, 0, 0), "water": (0, 0, 0),
    "rock": (0, 0, 0),
}  # fmt: skip
# ADE20K's colours, as the segmentation ControlNets were trained with, of the class that comes nearest.
ADE20K = {
    "road": (140, 140, 140), "sidewalk": (235, 255, 7), "building": (180, 120, 120), "wall": (120, 120, 120),
    "fence": (255, 184, 6), "pole": (51, 0, 255), "traffic light": (41, 0, 255), "traffic sign": (255, 5, 153),
    "vegetation": (4, 200, 3), "terrain": (4, 250, 7), "sky": (6, 230, 230), "pedestrian": (150, 5, 61),
    "rider": (150, 5, 61), "car": (0, 102, 200), "truck": (255, 0, 20), "bus": (255, 0, 245), "train": (255, 0, 245),
    "motorcycle": (163, 0, 255), "bicycle": (255, 245, 0), "water": (61, 230, 250), "road line": (140, 140, 140),
    "ground": (120, 120, 70), "bridge": (255, 82, 0), "rail track": (120, 120, 70), "guard rail": (255, 61, 6),
    "rock": (255, 41, 10),
}  # fmt: skip
# COCO's panoptic colours: its things, and COCO-Stuff's classes merged as panoptic COCO does, which is what the
# segmentation ControlNets know as "COCO". It has no pole; of signs it has the stop sign.
COCO = {
    "road": (128, 64, 128), "sidewalk": (96, 96, 96), "building": (116, 112, 0), "wall": (102, 102, 156),
    "fence": (190, 153, 153), "traffic light": (250, 170, 30), "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35), "terrain": (152, 251, 152), "sky": (70, 130, 180), "pedestrian": (220, 20, 60),
    "rider": (220, 20, 60), "car": (0, 0, 142), "truck": (0, 0, 70), "bus": (0, 60, 100), "train": (0, 80, 100),
    "motorcycle": (0, 0, 230), "bicycle": (119, 11, 32), "water": (58, 41, 149), "road line": (128, 64, 128),
    "ground": (208, 229, 228), "bridge": (150, 100, 100), "rail track": (230, 150, 140), "guard rail": (190, 153, 153),
    "rock": (0, 114, 143),
}  # fmt: skip
# Virtual KITTI 2 paints its classes; trees and vegetation, cars and vans come together.
VKITTI2 = (
    ("unlabeled", (0, 0, 0)), ("terrain", (210, 0, 200)), ("sky", (90, 200, 255)), ("vegetation", (0, 199, 0)),
    ("vegetation", (90, 240, 0)), ("building", (140, 140, 140)), ("road", (100, 60, 100)),
    ("guard rail", (250, 100, 255)), ("traffic sign", (255, 255, 0)), ("traffic light", (200, 200, 0)),
    ("pole", (255, 130, 0)), ("other", (80, 80, 80)), ("truck", (160, 60, 60)), ("car", (255, 127, 80)),
    ("car", (0, 139, 139)),
)  # fmt: skip
# SYNTHIA numbers its classes, in the first channel of 16-bit pictures; instance ids stand in the second.
SYNTHIA = (
    "unlabeled", "sky", "building", "road", "sidewalk", "fence", "vegetation", "pole", "car", "traffic sign",
    "pedestrian", "bicycle", "motorcycle", "road", "dynamic", "traffic light", "terrain", "rider", "truck", "bus",
    "train", "wall", "road line",
)  # fmt: skip
# What CARLA's CityScapesPalette converter painted before 0.9.14 where it differs from today's colours (CARLA_TAGS): up
# to 0.9.9 thirteen classes, 0.9.10 to 0.9.13 twenty-three. No colour of one release is another class in another.
CARLA_BEFORE = (
    ("other", (250, 170, 160)),  # up to 0.9.9
    ("fence", (100, 40, 40)), ("terrain", (145, 170, 100)),  # 0.9.10 to 0.9.13
)  # fmt: skip
# Cityscapes' colours of classes that CARLA has not, as Cityscapes itself and GTA V's Playing for Data have them.
CITYSCAPES_MORE = (
    ("static", (20, 20, 20)), ("ground", (250, 170, 160)), ("building", (150, 120, 90)), ("car", (0, 0, 90)),
    ("truck", (0, 0, 110)),
)  # fmt: skip
# SYNTHIA's painted form; a lane mark has the colour of a wall there.
SYNTHIA_COLOURS = (
    ("unlabeled", (0, 0, 0)), ("sky", (70, 130, 180)), ("building", (70, 70, 70)), ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)), ("fence", (64, 64, 128)), ("vegetation", (107, 142, 35)), ("pole", (153, 153, 153)),
    ("car", (0, 0, 142)), ("traffic sign", (220, 220, 0)), ("pedestrian", (220, 20, 60)), ("bicycle", (119, 11, 32)),
    ("motorcycle", (0, 0, 230)), ("road", (250, 170, 160)), ("dynamic", (128, 64, 64)),
    ("traffic light", (250, 170, 30)), ("terrain", (152, 251, 152)), ("rider", (255, 0, 0)), ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)), ("train", (0, 80, 100)), ("wall", (102, 102, 156)),
)  # fmt: skip
# The numbers of Cityscapes' labelIds pictures, 0 to 33, and of its labelTrainIds, 0 to 18 (255 is nothing).
CITYSCAPES_IDS = (
    "unlabeled", "unlabeled", "unlabeled", "unlabeled", "static", "dynamic", "ground", "road", "sidewalk", "ground",
    "rail track", "building", "wall", "fence", "guard rail", "bridge", "building", "pole", "pole", "traffic light",
    "traffic sign", "vegetation", "terrain", "sky", "pedestrian", "rider", "car", "truck", "bus", "car", "truck",
    "train", "motorcycle", "bicycle",
)  # fmt: skip
CITYSCAPES_TRAIN_IDS = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
