"""Tiny random Grounding DINO and SAM 2 of the real classes, from files, against their own direct forward."""

import pytest
import torch
from tiny_perception import save_detector, save_tracker

from pipeline_core.errors import UserError
from pipeline_core.perception.grounding import Box, boxes_of_scores, detector_text, load_detector
from pipeline_core.perception.tracking import instances_of_masks, load_tracker, look_again

WORDS = "Car, traffic light;\nperson."


@pytest.fixture(scope="module")
def detector_folder(tmp_path_factory):
    return save_detector(tmp_path_factory.mktemp("grounding"))


@pytest.fixture(scope="module")
def tracker_folder(tmp_path_factory):
    return save_tracker(tmp_path_factory.mktemp("sam"))


@pytest.fixture(scope="module")
def frames():
    return torch.rand(5, 36, 48, 3, generator=torch.Generator().manual_seed(4))


def test_words_as_the_detector_reads_them():
    assert detector_text(WORDS) == "car. traffic light. person."
    assert detector_text("car. Car. bus") == "car. bus."
    with pytest.raises(UserError, match="No words"):
        detector_text(" . ,\n")


def test_boxes_are_the_networks_own(detector_folder, frames):
    from transformers import AutoTokenizer, GroundingDinoForObjectDetection

    network = GroundingDinoForObjectDetection.from_pretrained(detector_folder).eval()
    tokens = AutoTokenizer.from_pretrained(detector_folder)(detector_text(WORDS), return_tensors="pt")
    planes = torch.nn.functional.interpolate(frames[:1].movedim(-1, 1), size=(48, 64), mode="bilinear", antialias=True)
    with torch.no_grad():
        answer = network(pixel_values=(planes - 0.5) / 0.25, **tokens)
    found = load_detector(detector_folder)(frames[0], WORDS)
    assert 0 < len(found) <= 10
    areas = [(box.x1 - box.x0) * (box.y1 - box.y0) for box in found]
    assert areas == sorted(areas, reverse=True)
    centres = {(round(float(x) * 48, 3), round(float(y) * 36, 3)) for x, y, _, _ in answer.pred_boxes[0]}
    for box in found:
        assert (round((box.x0 + box.x1) / 2, 3), round((box.y0 + box.y1) / 2, 3)) in centres
        assert 0.1 < box.score < 1 and box.words.strip(". ")


def test_a_second_try_where_nothing_is_sure(detector_folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(detector_folder)
    ids = tokenizer(detector_text(WORDS), return_tensors="pt")["input_ids"][0]
    car = (ids == tokenizer.convert_tokens_to_ids("car")).nonzero().item()
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.25, 0.5, 0.5, 1.0], [0.1, 0.1, 0.1, 0.1]])
    scores = torch.zeros(3, len(ids))
    scores[0, car], scores[1, car], scores[:, 0] = 0.9, 0.12, 1.0  # the first token stands for the sentence
    (only,) = boxes_of_scores(scores, boxes, ids, tokenizer, (100, 200, 3))
    assert (only.x0, only.y0, only.x1, only.y1) == pytest.approx((80, 40, 120, 60)) and only.words == "car"
    scores[0, car] = 0.05
    (unsure,) = boxes_of_scores(scores, boxes, ids, tokenizer, (100, 200, 3))
    assert (unsure.x0, unsure.x1, unsure.score) == pytest.approx((0, 100, 0.12))
    assert boxes_of_scores(scores * 0, boxes, ids, tokenizer, (100, 200, 3)) == []


def test_masks_are_the_networks_own_over_the_whole_clip(tracker_folder, frames):
    """Against transformers' own loop over a whole clip in memory."""
    from transformers import Sam2VideoModel
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    boxes = [Box(4, 4, 30, 30, "car", 0.9), Box(20, 10, 44, 34, "bus", 0.8)]
    made = list(load_tracker(tracker_folder)(iter(frames), boxes))
    assert len(made) == 5 and all(ids.shape == (36, 48) and ids.dtype == torch.int32 for ids in made)
    assert set(torch.stack(made).unique().tolist()) <= {0, 1, 2}
    model = Sam2VideoModel.from_pretrained(tracker_folder).eval()
    planes = torch.nn.functional.interpolate(frames.movedim(-1, 1), size=(64, 64), mode="bilinear", antialias=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    planes = (planes - mean[:, None, None]) / std[:, None, None]
    session = Sam2VideoInferenceSession(video=planes, video_height=36, video_width=48, dtype=torch.float32)
    for number, box in enumerate(boxes, start=1):
        corners = torch.tensor([[[[box.x0 * 64 / 48, box.y0 * 64 / 36], [box.x1 * 64 / 48, box.y1 * 64 / 36]]]])
        point = {"point_coords": corners, "point_labels": torch.tensor([[[2, 3]]], dtype=torch.int32)}
        session.add_point_inputs(session.obj_id_to_idx(number), 0, point)
    session.obj_with_new_inputs = [1, 2]
    with torch.no_grad():
        for number in range(5):
            answer = model(inference_session=session, frame_idx=number)
            expected = instances_of_masks(answer.pred_masks, answer.object_ids, (36, 48))
            assert float((expected == made[number]).float().mean()) > 0.99
    assert float((torch.stack(made) > 0).float().mean()) > 0.01


def test_the_surer_mask_counts_where_two_overlap():
    masks = torch.tensor([[[[2.0, 2.0, -1.0]]], [[[3.0, 1.0, -2.0]]]])
    assert instances_of_masks(masks, [7, 9], (1, 3)).tolist() == [[9, 7, 0]]


def test_memory_does_not_grow_with_the_clip(tracker_folder, monkeypatch):
    import pipeline_core.perception.tracking as tracking

    kept = []
    forget = tracking._forget

    def watched(session, number):
        forget(session, number)
        held = [len(outputs["non_cond_frame_outputs"]) for outputs in session.output_dict_per_obj.values()]
        kept.append((len(session.processed_frames), max(held)))

    monkeypatch.setattr(tracking, "_forget", watched)
    frames = torch.rand(24, 18, 24, 3, generator=torch.Generator().manual_seed(0))
    assert len(list(load_tracker(tracker_folder)(iter(frames), [Box(2, 2, 12, 12, "car", 1.0)]))) == 24
    assert max(frames for frames, _ in kept) <= 2 and max(outputs for _, outputs in kept) <= 16


def test_no_object_and_wrong_folders(tracker_folder, detector_folder, frames, tmp_path):
    assert all(int(ids.sum()) == 0 for ids in load_tracker(tracker_folder)(iter(frames), []))
    with pytest.raises(UserError, match="config.json"):
        load_tracker(tmp_path)
    with pytest.raises(UserError, match="AutoModelForZeroShotObjectDetection"):
        load_detector(tracker_folder)


def test_an_object_that_comes_later_joins_the_session(tracker_folder, frames):
    """Against transformers' own session over a whole clip in memory, told of the second object at frame 2."""
    from transformers import Sam2VideoModel
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    boxes = [Box(4, 4, 30, 30, "car", 0.9), Box(20, 10, 44, 34, "bus", 0.8)]
    asked = []

    def look(number, frame, ids):
        asked.append((number, ids.shape))
        assert torch.equal(frame, frames[number])
        return boxes[1:] if number == 2 else []

    made = list(load_tracker(tracker_folder)(iter(frames), boxes[:1], look))
    assert asked == [(number, (36, 48)) for number in range(1, 5)]
    assert int(torch.stack(made[:2]).max()) <= 1
    model = Sam2VideoModel.from_pretrained(tracker_folder).eval()
    planes = torch.nn.functional.interpolate(frames.movedim(-1, 1), size=(64, 64), mode="bilinear", antialias=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    planes = (planes - mean[:, None, None]) / std[:, None, None]
    session = Sam2VideoInferenceSession(video=planes, video_height=36, video_width=48, dtype=torch.float32)
    with torch.no_grad():
        for number in range(5):
            for obj_id, start, box in ((1, 0, boxes[0]), (2, 2, boxes[1])):
                if number == start:
                    corners = [[box.x0 * 64 / 48, box.y0 * 64 / 36], [box.x1 * 64 / 48, box.y1 * 64 / 36]]
                    point = {"point_coords": torch.tensor([[corners]]), "point_labels": torch.tensor([[[2, 3]]])}
                    session.add_point_inputs(session.obj_id_to_idx(obj_id), start, point)
                    session.obj_with_new_inputs = [obj_id]
            answer = model(inference_session=session, frame_idx=number)
            expected = instances_of_masks(answer.pred_masks, answer.object_ids, (36, 48))
            assert float((expected == made[number]).float().mean()) > 0.99
    # Nothing at first is no reason to stay blind.
    late = list(load_tracker(tracker_folder)(iter(frames), [], look))
    assert not any(int(ids.max()) for ids in late[:2]) and any(int(ids.max()) for ids in late[2:])


def test_looking_again_finds_every_object_of_a_drive_once():
    """A detector and a tracker that know the truth: what is in view when it looks is followed, and nothing twice."""
    from pipeline_core.world import make_scene, render

    truth = render(make_scene(800005), range(0, 72, 3)).instances
    names, known = {}, []  # truth's id to ours

    def detect(frame, words):
        found = []
        for number in frame.unique().tolist():
            rows, columns = (frame == number).nonzero().unbind(1)
            if number and len(rows) >= 30:
                edges = [int(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]
                found.append(Box(*edges, f"thing {number}", 0.9))
        return found

    def followed(frame):
        ids = torch.zeros(frame.shape, dtype=torch.int32)
        for number, ours in names.items():
            ids[frame == number] = ours
        return ids

    every, looked = 6, set()
    known.extend(detect(truth[0], ""))
    look = look_again(detect, "", every, known)
    for number, frame in enumerate(truth):
        new = look(number, frame, followed(truth[number - 1])) if number else known
        for box in new:
            names[int(box.words.split()[1])] = len(names) + 1
        if number % every == 0:
            looked |= {box.words for box in detect(frame, "")}
    words = [box.words for box in known]
    assert len(set(words)) == len(words) and len(words) > len(detect(truth[0], ""))
    assert set(words) == looked


def test_what_counts_as_followed():
    ids = torch.zeros(40, 60, dtype=torch.int32)
    ids[10:30, 10:40] = 1
    known = [Box(10, 10, 40, 30, "car", 0.9)]
    look = look_again(lambda frame, words: [box], "", 1, known)
    for box, new in (
        (Box(11, 9, 42, 31, "bus", 0.9), False),  # the same box under another name
        (Box(12, 12, 20, 20, "car", 0.9), False),  # a part of it
        (Box(12, 12, 20, 20, "traffic light", 0.9), True),  # something in front of it
        (Box(42, 10, 58, 30, "car", 0.9), True),  # beside it
        (Box(70, 10, 90, 30, "car", 0.9), False),  # out of the picture
    ):
        assert bool(look(3, None, ids)) == new, box
        del known[1:]
    assert look_again(lambda frame, words: [box], "", 4, known)(3, None, ids) == []
