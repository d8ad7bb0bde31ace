"""Every export format read back by a reader that is not ours, with masks equal to those that the world rendered."""

import json

import numpy as np
import pytest
from batch_folders import make_batch
from PIL import Image

from pipeline_core.batch.export import export
from pipeline_core.batch.export.things import NAMES
from pipeline_core.conditions.segmentation import TAG

# pycocotools itself, of NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
SPLITS = "train=.5,val=.5"  # puts one of the two clips into each
SPLIT = {"street": "train", "town__front": "val"}
NAME = {"person": "pedestrian"}  # the data sets' name -> CARLA's


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    return make_batch(tmp_path_factory.mktemp("batch"))


@pytest.fixture
def exported(batch, tmp_path):
    def make(format):
        export(batch[0], tmp_path / "set", format, SPLITS)
        return tmp_path / "set", {name: styles["synthetic"] for name, styles in batch[1].items()}

    return make


def reader(name):
    package = name.split(".")[0]
    return pytest.importorskip(
        name, reason=f"{package} is not installed: what it reads is not read back", exc_type=ImportError
    )


def masks_of(render, frame, label):
    """{instance id: mask} of a class, from the render itself."""
    ids = np.where(render.classes[frame].numpy() == TAG[NAME.get(label, label)], render.instances[frame].numpy(), 0)
    return {int(number): ids == number for number in np.unique(ids) if number}


def all_masks(render, frame):
    return {(label, number): mask for label in NAMES for number, mask in masks_of(render, frame, label).items()}


def same(masks, truth):
    assert masks.keys() == truth.keys()
    assert all(np.array_equal(masks[key], truth[key]) for key in truth)


def clip_of(name):
    return "town__front" if name.startswith("town-front") else "street"


def test_coco_by_pycocotools(exported):
    tools = reader("pycocotools.coco")
    folder, renders = exported("coco")
    pictures = 0
    for split in ("train", "val"):
        coco = tools.COCO(folder / "annotations" / f"instances_{split}.json")
        for image in coco.loadImgs(coco.getImgIds()):
            render = renders[clip_of(image["clip"])]
            assert SPLIT[clip_of(image["clip"])] == split
            picture = Image.open(folder / split / image["file_name"])
            assert picture.size == (image["width"], image["height"]) == (80, 48)
            entries = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
            label = {entry["id"]: coco.loadCats(entry["category_id"])[0]["name"] for entry in entries}
            masks = {(label[e["id"]], e["instance"]): coco.annToMask(e).astype(bool) for e in entries}
            same(masks, all_masks(render, image["frame"]))
            for entry in entries:
                mask = masks[label[entry["id"]], entry["instance"]]
                assert entry["area"] == mask.sum()
                rows, columns = np.nonzero(mask)
                box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
                assert entry["bbox"] == box
                if label[entry["id"]] == "traffic light":
                    light = next(one for one in render.lights if one["instance"] == entry["instance"])
                    assert entry.get("light_state") == light["state"][image["frame"]]
            pictures += 1
        tracks = {(e["track_id"], e["category_id"], e["instance"]) for e in coco.loadAnns(coco.getAnnIds())}
        assert len(tracks) == len({track for track, _, _ in tracks})
    assert pictures == 15  # three accepted results of five frames


def test_youtube_vis_by_pycocotools(exported):
    mask_tools = reader("pycocotools.mask")
    folder, renders = exported("youtube-vis")
    for split in ("train", "val"):
        content = json.loads((folder / split / "instances.json").read_text())
        label = {category["id"]: category["name"] for category in content["categories"]}
        for video in content["videos"]:
            entries = [entry for entry in content["annotations"] if entry["video_id"] == video["id"]]
            assert len({(entry["category_id"], entry["instance"]) for entry in entries}) == len(entries) > 3
            for place, file in enumerate(video["file_names"]):
                assert Image.open(folder / split / "JPEGImages" / file).size == (video["width"], video["height"])
                codes = {(label[e["category_id"]], e["instance"]): e["segmentations"][place] for e in entries}
                masks = {key: mask_tools.decode(code).astype(bool) for key, code in codes.items() if code}
                same(masks, all_masks(renders[clip_of(file)], place))


def test_cityscapes_by_cityscapesscripts(exported):
    instances2dict = reader("cityscapesscripts.evaluation.instances2dict").instances2dict
    getCsFileInfo = reader("cityscapesscripts.helpers.csHelpers").getCsFileInfo
    name2label = reader("cityscapesscripts.helpers.labels").name2label
    folder, renders = exported("cityscapes")
    files = sorted(folder.glob("gtFine/*/*/*_instanceIds.png"))
    assert len(files) == 15
    names = {file.name.replace("gtFine_instanceIds", "leftImg8bit") for file in files}
    assert {file.name for file in folder.glob("leftImg8bit/*/*/*.png")} == names
    for file in files:
        info = getCsFileInfo(str(file))
        render, frame = renders[clip_of(info.city)], int(info.frameNb)
        labels = np.array(Image.open(str(file).replace("instanceIds", "labelIds")))
        for name, tag in {"car": "car", "person": "pedestrian", "sky": "sky", "traffic sign": "traffic sign"}.items():
            assert np.array_equal(labels == name2label[name].id, render.classes[frame].numpy() == TAG[tag]), name
        road = np.isin(render.classes[frame].numpy(), [TAG["road"], TAG["road line"]])
        assert np.array_equal(labels == name2label["road"].id, road)
        (listed,) = instances2dict([str(file)]).values()
        codes = np.array(Image.open(file))
        assert codes.max() > 1000
        for name in ("car", "person"):
            truth = masks_of(render, frame, name)
            objects = [entry for entry in listed[name] if entry["instID"] >= 1000]
            assert sorted(entry["pixelCount"] for entry in objects) == sorted(int(m.sum()) for m in truth.values())
            shapes = {(codes == entry["instID"]).tobytes() for entry in objects}
            assert shapes == {mask.tobytes() for mask in truth.values()}


def test_yolo_by_supervision(exported):
    supervision, cv2 = reader("supervision"), reader("cv2")
    folder, renders = exported("yolo")
    exact = 0
    for split in ("train", "val"):
        data = supervision.DetectionDataset.from_yolo(
            str(folder / "images" / split), str(folder / "labels" / split), str(folder / "data.yaml"), force_masks=True
        )
        assert tuple(data.classes) == NAMES
        for path, image, detections in data:
            stem = path.rsplit("/", 1)[-1].removesuffix(".jpg")
            render, frame = renders[clip_of(stem)], int(stem[-6:])
            listed = json.loads((folder / "objects" / split / f"{stem}.json").read_text())["objects"]
            keys = [(entry["category"], entry["instance"]) for entry in listed]
            assert [NAMES[number] for number in detections.class_id] == [label for label, _ in keys]
            truth = all_masks(render, frame)
            assert set(keys) == truth.keys() and image.shape[:2] == (48, 80)
            codes = np.array(Image.open(folder / "instance" / split / f"{stem}.png")).astype(int)
            for (label, number), mask in zip(keys, detections.mask):
                wanted = truth[label, number]
                assert (mask >= wanted).all()  # no pixel is lost
                if cv2.connectedComponents(wanted.astype(np.uint8))[0] == 2:  # the object is in one piece
                    exact += 1
                    assert np.array_equal(mask, wanted)
                there = (codes[..., 0] == TAG[NAME.get(label, label)]) & (codes[..., 1] + 256 * codes[..., 2] == number)
                assert np.array_equal(there, wanted)
    assert exact > 100


def test_videofolder_by_datasets(exported, tmp_path):
    datasets = reader("datasets")
    folder, renders = exported("videofolder")
    data = datasets.load_dataset("videofolder", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in data.items()} == {"train": 1, "validation": 2}
    for rows in data.values():
        for row in rows.cast_column("video", datasets.Video(decode=False)):
            file = folder / SPLIT[row["id"]] / f"{row['name']}.mp4"
            assert row["video"]["path"].endswith(f"/{SPLIT[row['id']]}/{row['name']}.mp4") and file.is_file()
            assert json.loads(row["verdict"])["accepted"] and row["seed"] == 7
            for frame in range(row["frames"]):
                codes = np.array(Image.open(folder / row["labels"] / "instance" / f"{frame:06d}.png")).astype(int)
                assert np.array_equal(codes[..., 0], renders[row["id"]].classes[frame].numpy())
                ids = codes[..., 1] + 256 * codes[..., 2]
                assert np.array_equal(ids, renders[row["id"]].instances[frame].numpy())


def test_the_video_folders_card_names_its_splits_to_datasets(exported, tmp_path):
    datasets = reader("datasets")
    folder, _ = exported("videofolder")
    data = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in data.items()} == {"train": 1, "validation": 2}


def test_webdataset_by_webdataset(exported):
    webdataset = reader("webdataset")
    folder, renders = exported("webdataset")
    frames = 0
    for split in ("train", "val"):
        for sample in webdataset.WebDataset(str(folder / f"{split}-000000.tar"), shardshuffle=False).decode("pil"):
            about, clip = sample["json"], sample["json"]["provenance"]["id"]
            render, frame = renders[clip], about["frame"]
            assert SPLIT[clip] == split == about["provenance"]["split"]
            codes = np.array(sample["instance.png"]).astype(int)
            ids = codes[..., 1] + 256 * codes[..., 2]
            keys = {(entry["category"], entry["instance"]): entry for entry in about["objects"]}
            masks = {key: (codes[..., 0] == one["tag"]) & (ids == one["instance"]) for key, one in keys.items()}
            same(masks, all_masks(render, frame))
            depth = np.array(sample["depth.png"]).astype(int) @ [1, 256, 65536] / (2**24 - 1) * 1000
            truth = render.depth[frame].clamp(max=1000).numpy()
            assert np.abs(depth - truth).max() < 1e-4
            assert sample["jpg"].size == (80, 48)
            frames += 1
    assert frames == 15
