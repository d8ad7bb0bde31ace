"""Class ids of the world's segmentation: CARLA's semantic tags (0.9.14 and later), so simulator code reads both."""

ROAD = 1
SIDEWALK = 2
BUILDING = 3
POLE = 6
TRAFFIC_LIGHT = 7
TRAFFIC_SIGN = 8
VEGETATION = 9
TERRAIN = 10
SKY = 11
PEDESTRIAN = 12
RIDER = 13
CAR = 14
TRUCK = 15
BUS = 16
BICYCLE = 19
ROAD_LINE = 24
