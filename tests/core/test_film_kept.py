"""What a film and its container say besides images and sound, and the result must keep or tell."""

import json
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from recolor_core.film import FilmError, FilmWarning, open_film
from recolor_core.film.encoding import choose_coding
from recolor_core.film.luma import Luma, chroma, halve
from recolor_core.film.matroska import set_pixel_aspect

from .cli_runner import files, gray_of
from .films import FULL, colorize, decoded, make_film, packets, times


def remux(
    source: Path,
    target: Path,
    *,
    delay: float = 0,
    metadata: dict[str, str] | None = None,
    chapters: list[tuple[float, float, str]] | None = None,
    cover: bytes = b"",
) -> None:
    """Copy a film into another container, later, or with more in it."""
    with av.open(str(source)) as film, av.open(str(target), "w") as copy:
        copies = {s.index: copy.add_stream_from_template(s, opaque=True) for s in film.streams}
        copy.metadata.update(metadata or {})
        copy.set_chapters(
            [
                {
                    "id": number,
                    "start": int(start * 1000),
                    "end": int(end * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for number, (start, end, title) in enumerate(chapters or ())
            ]
        )
        if cover and target.suffix == ".mkv":
            copy.add_attachment("cover.png", "image/png", cover)
        elif cover:
            picture = copy.add_mux_stream("png", width=8, height=8)
            picture.disposition = Disposition.attached_pic
            picture.time_base = Fraction(1, 90000)
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts = picture, 0, 0
            packet.time_base = Fraction(1, 90000)
            copy.mux(packet)
        for packet in film.demux():
            if packet.size:
                shift = round(delay / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = copies[packet.stream_index]
                copy.mux(packet)


def with_sound(path: Path, codec: str, layout: str = "stereo") -> None:
    """A film of 3 frames with sound of some codec."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = film.add_stream(codec, rate=44100, layout=layout)
        sound.codec_context.bit_rate = 128_000
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64), 90 + index, np.uint8), "gray")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            film.mux(video.encode(frame.reformat(format="yuv420p")))
        format, channels = sound.format.name, sound.channels
        size = sound.codec_context.frame_size or 1024
        for index in range(5292 // size):
            shape = (channels, size) if format.endswith("p") else (1, size * channels)
            dtype = np.float32 if format.startswith("flt") else np.int16
            heard = av.AudioFrame.from_ndarray(np.zeros(shape, dtype), format, layout)
            heard.sample_rate, heard.pts = 44100, index * size
            film.mux(sound.encode(heard))
        film.mux(video.encode(None))
        film.mux(sound.encode(None))


def _png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_a_film_that_starts_late_is_whole(tmp_path, ending):
    make_film(tmp_path / "a.mp4", 3, codec="libx264")
    remux(tmp_path / "a.mp4", tmp_path / f"late.{ending}", delay=5)
    assert not open_film(str(tmp_path / f"late.{ending}")).cut_short
    colorize(tmp_path / f"late.{ending}", tmp_path / "b.mkv")
    assert times(tmp_path / "b.mkv") == times(tmp_path / f"late.{ending}")


@pytest.mark.slow
def test_the_clock_of_a_broadcast_becomes_0_and_streams_stay_together(tmp_path):
    make_film(tmp_path / "a.mp4", 3, codec="libx264", audio=True, options={"bf": "0"})
    remux(tmp_path / "a.mp4", tmp_path / "cast.ts", delay=50_000)
    colorize(tmp_path / "cast.ts", tmp_path / "b.mp4")
    (source, result) = (av.open(str(tmp_path / name)) for name in ("cast.ts", "b.mp4"))
    with source, result:
        assert source.start_time >= 50_000e6
        assert result.start_time == 0
        assert result.duration < 1e6
    apart = [
        times(tmp_path / name)[0] - packets(tmp_path / name, "audio")[0][0]
        for name in ("cast.ts", "b.mp4")
    ]
    np.testing.assert_allclose(*apart, atol=1)
    colorize(tmp_path / "cast.ts", tmp_path / "again.ts")  # a transport stream keeps its clock
    np.testing.assert_allclose(times(tmp_path / "again.ts"), times(tmp_path / "cast.ts"), atol=1)
    colorize(tmp_path / "again.ts", tmp_path / "c.mp4")


@pytest.mark.parametrize("key", ["COMMENT", "comment"])
def test_a_comment_is_added_to(tmp_path, key):
    make_film(tmp_path / "a.mkv", 1)
    remux(tmp_path / "a.mkv", tmp_path / "said.mkv", metadata={key: "scanned by X"})
    colorize(tmp_path / "said.mkv", tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as film:
        (comment,) = (text for key, text in film.metadata.items() if key.lower() == "comment")
    assert comment.startswith("scanned by X | Colors made up by recolor")


@pytest.mark.parametrize(("source", "target"), [("mkv", "mkv"), ("mp4", "mkv"), ("mp4", "mp4")])
def test_a_cover_stays_a_cover(tmp_path, source, target):
    make_film(tmp_path / "plain.mp4", 2, codec="libx264")
    remux(tmp_path / "plain.mp4", tmp_path / f"a.{source}", cover=_png())
    colorize(tmp_path / f"a.{source}", tmp_path / f"b.{target}")
    with av.open(str(tmp_path / f"b.{target}")) as film:
        covers = [s for s in film.streams.video if s.disposition & Disposition.attached_pic]
        assert len(film.streams.video) == 2
        assert len(covers) == 1
        assert bytes(next(film.demux(covers[0]))) == _png()


@pytest.mark.slow
def test_chapters_of_mp4_come_along_with_their_titles(tmp_path):
    make_film(tmp_path / "plain.mp4", 5, codec="libx264")
    marks = [(0.0, 0.1, "One"), (0.1, 0.2, "Two")]
    remux(tmp_path / "plain.mp4", tmp_path / "a.mp4", chapters=marks)
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert [stream.type for stream in film.streams] == ["video", "data"]  # their track
    colorize(tmp_path / "a.mp4", tmp_path / "b.mp4")
    colorize(tmp_path / "a.mp4", tmp_path / "c.mkv", start="1f")
    found = []
    for name in ("b.mp4", "c.mkv"):
        with av.open(str(tmp_path / name)) as film:
            found.append(
                [
                    (c["metadata"]["title"], float(c["start"] * c["time_base"]))
                    for c in film.chapters()
                ]
            )
    assert found == [[("One", 0.0), ("Two", 0.1)], [("One", 0.0), ("Two", 0.06)]]


def test_sound_of_which_only_the_number_of_channels_is_known(tmp_path):
    with_sound(tmp_path / "a.avi", "pcm_s16le")
    colorize(tmp_path / "a.avi", tmp_path / "b.mp4")
    assert [p for _, p in packets(tmp_path / "b.mp4", "audio")]
    with av.open(str(tmp_path / "b.mp4")) as film:
        assert film.streams.audio[0].layout.name == "stereo"


@pytest.mark.parametrize("codec", ["wmav2", "adpcm_ima_wav", "pcm_alaw"])
@pytest.mark.slow
def test_sound_that_matroska_has_no_name_for_is_copied(tmp_path, codec):
    with_sound(tmp_path / "a.avi", codec)
    colorize(tmp_path / "a.avi", tmp_path / "b.mkv")
    heard = [[data for _, data in packets(tmp_path / n, "audio")] for n in ("a.avi", "b.mkv")]
    assert heard[0] == heard[1] != []
    with av.open(str(tmp_path / "b.mkv")) as film:
        assert film.streams.audio[0].codec_context.name == codec
    colorize(tmp_path / "a.avi", tmp_path / "c.mkv")
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "c.mkv").read_bytes()


def test_a_refusal_names_containers_that_hold_the_film(tmp_path):
    with_sound(tmp_path / "a.avi", "adpcm_ima_wav")
    with pytest.raises(FilmError, match=r"stream 1 of a\.avi .*name a \.mkv instead, or leave"):
        colorize(tmp_path / "a.avi", tmp_path / "b.mp4")
    make_film(tmp_path / "a.mkv", 1, subtitles="1\n00:00:00,000 --> 00:00:01,000\nX\n")
    with pytest.raises(FilmError) as caught:
        colorize(tmp_path / "a.mkv", tmp_path / "b.mov")
    assert "name a .mkv instead" in str(caught.value)
    assert "name a .mov" not in str(caught.value)


@pytest.mark.parametrize("ending", ["mkv", "webm", "mp4"])
@pytest.mark.parametrize("aspect", [Fraction(16, 15), Fraction(12, 11)])
def test_the_shape_of_pixels_stays(tmp_path, ending, aspect):
    make_film(tmp_path / "a.mkv", 2, codec="libx264", aspect=aspect)
    colorize(tmp_path / "a.mkv", tmp_path / f"b.{ending}", lossless=ending == "mkv")
    with av.open(str(tmp_path / f"b.{ending}")) as film:
        assert film.streams.video[0].sample_aspect_ratio == aspect
        assert len(list(film.decode(video=0))) == 2
        film.seek(0)
        assert next(film.decode(video=0)).pts == 0


def test_without_room_in_the_header_a_matroska_file_stays_as_it_is():
    content = b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x80"
    file = BytesIO(content)
    assert not set_pixel_aspect(file, (64, 48), Fraction(2))
    assert file.getvalue() == content


def _interlaced(path: Path) -> None:
    with av.open(str(path), "w") as film:
        options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
        video = film.add_stream("libx264", rate=25, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        graph = av.filter.Graph()
        source = graph.add_buffer(width=64, height=48, format="gray", time_base=Fraction(1, 25))
        first, last = graph.add("setfield", "tff"), graph.add("buffersink")
        source.link_to(first)
        first.link_to(last)
        graph.configure()
        for index in range(3):
            rows = np.tile(np.uint8([[40], [200 - index]]), (24, 64))
            frame = av.VideoFrame.from_ndarray(rows, "gray")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            graph.push(frame)
            film.mux(video.encode(graph.pull().reformat(format="yuv420p")))
        film.mux(video.encode(None))


@pytest.mark.parametrize(("name", "lossless"), [("b.mkv", True), ("b.mp4", False)])
@pytest.mark.slow
def test_an_interlaced_film_stays_interlaced(tmp_path, name, lossless):
    _interlaced(tmp_path / "a.mkv")
    assert all(frame.interlaced_frame for frame in decoded(tmp_path / "a.mkv"))
    colorize(tmp_path / "a.mkv", tmp_path / name, lossless=lossless)
    assert all(frame.interlaced_frame for frame in decoded(tmp_path / name))
    with pytest.warns(FilmWarning, match="that it is interlaced"):
        colorize(tmp_path / "a.mkv", tmp_path / "c.webm")


def test_fields_are_halved_one_by_one():
    plane = np.tile(np.uint8([[40], [200]]), (4, 8))  # one field dark, the other one light
    halved = halve(plane, interlaced=True)
    np.testing.assert_array_equal(halved, np.tile(np.uint8([[40], [200]]), (2, 4)))


@pytest.mark.slow
def test_x264_gives_the_same_bytes_each_time(tmp_path):
    make_film(tmp_path / "a.mkv", 1)
    facts = open_film(str(tmp_path / "a.mkv")).facts
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (48, 64), np.uint8) for _ in range(70)]
    made = []
    for _ in range(4):
        file = BytesIO()
        with av.open(file, "w", format="matroska", options={"fflags": "+bitexact"}) as film:
            coding = choose_coding(tmp_path / "b.mkv", facts, lossless=False, crf=16)
            video = coding.add_to(film, facts)
            for number, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image, "gray").reformat(format=coding.pixels)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                film.mux(video.encode(frame))
            film.mux(video.encode(None))
        made.append(file.getvalue())
    assert len(set(made)) == 1


def _gray_film(path: Path, pixels: str, **context: int) -> None:
    """A film of 2 frames of 80 x 64 pixels, of any pixel format."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 80, 64, pixels
        for name, value in context.items():
            setattr(video.codec_context, name, value)
        for index in range(2):
            frame = av.VideoFrame.from_ndarray(np.full((64, 80), 100 + index, np.uint8), "gray")
            frame = frame.reformat(format=pixels)
            for name, value in context.items():
                setattr(frame, name, value)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            film.mux(video.encode(frame))
        film.mux(video.encode(None))


def test_films_of_high_dynamic_range_are_tagged_with_their_primaries(tmp_path):
    pq = {"color_trc": 16, "color_primaries": 9, "colorspace": 9}
    _gray_film(tmp_path / "a.mkv", "yuv420p10le", **pq)
    with pytest.warns(FilmWarning, match="tone curve PQ"):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv")
    frame = decoded(tmp_path / "b.mkv")[0]
    assert (frame.color_trc, frame.color_primaries, frame.colorspace) == (16, 9, 9)


def test_chroma_of_bt2020():
    # ITU-R BT.2020-2, table 4: of 10 bits and limited range. Gray has none in any primaries.
    gray = np.full((2, 2, 3), 30_000, np.uint16)
    for plane in chroma(gray, Luma(10, True), wide=True):
        assert (plane == 512).all()
    # BT.709 red in BT.2020 primaries, by ITU-R BT.2087: linear .6274, .0691, .0164.
    red = np.full((2, 2, 3), (65535, 0, 0), np.uint16)
    r, g, b = (1.055 * v ** (1 / 2.4) - 0.055 for v in (0.6274, 0.0691, 0.0164))
    y = 0.2627 * r + 0.6780 * g + 0.0593 * b
    expected = [512 + 896 * (b - y) / 1.8814, 512 + 896 * (r - y) / 1.4746]
    planes = chroma(red, Luma(10, True), wide=True)
    for plane, value in zip(planes, expected, strict=True):
        np.testing.assert_allclose(plane, value, atol=1)


def test_an_alpha_channel_that_is_left_out_is_told(tmp_path):
    _gray_film(tmp_path / "a.mkv", "bgra")
    with pytest.warns(FilmWarning, match="alpha channel, which is left out"):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", lossless=True)
    (page,) = json.loads((tmp_path / "b.mkv.json").read_text())["pages"]
    assert "alpha channel left out" in page["reading"]


def test_a_subtitle_that_is_on_screen_where_a_part_begins_stays(tmp_path):
    text = "1\n00:00:00,000 --> 00:00:00,160\nOne\n\n2\n00:00:00,240 --> 00:00:00,300\nTwo\n"
    make_film(tmp_path / "a.mkv", 8, subtitles=text)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", start="2f", end="5f")
    ((at, words),) = packets(tmp_path / "b.mkv", "subtitle")
    assert (at, words) == (0, b"One")
    with av.open(str(tmp_path / "b.mkv")) as film:
        packet = next(film.demux(subtitles=0))
        assert float(packet.duration * packet.time_base) == 0.08


def _images(folder: Path, names: list[str], level: int = 90) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.new("L", (40, 32), level).save(folder / name)


def test_a_pattern_means_its_number_and_nothing_else(tmp_path):
    _images(tmp_path, ["f_0001.tif", "f_0002.tif", "f_0001_backup.tif", "f_3.tif", "f_00003.tif"])
    found = open_film(str(tmp_path / "f_%04d.tif")).files
    assert [path.name for path in found] == ["f_0001.tif", "f_0002.tif"]
    assert len(open_film(str(tmp_path / "f_0001*.tif")).files) == 2


def test_images_keep_their_numbers_and_a_gap_its_time(tmp_path):
    _images(tmp_path / "in", [f"s_{n}.png" for n in (98, 99, 102)])
    with pytest.warns(FilmWarning, match="missing in the sequence: 100 to 101"):
        colorize(tmp_path / "in", f"{tmp_path}/out/f_%04d.png")
    assert files(tmp_path / "out") == [
        "f_%04d.png.json",
        *(f"f_{n:04d}.png" for n in (98, 99, 102)),
    ]
    with pytest.warns(FilmWarning, match="missing"):
        colorize(tmp_path / "in", tmp_path / "b.mkv", fps="25", start="99f")
    assert times(tmp_path / "b.mkv") == [0, 120]


def test_two_copies_of_a_sequence_are_not_mixed(tmp_path):
    _images(tmp_path / "in", ["a_1.png", "a_1.tif", "a_2.png", "a_2.tif"])
    with pytest.raises(FilmError, match=r"expected images of one kind, got \.png and \.tif"):
        open_film(str(tmp_path / "in"))


@pytest.mark.parametrize("order", ["big", "little"])
def test_a_dpx_header_stays(tmp_path, order):
    make_film(tmp_path / "a.mkv", 1, pixels="gray16le", color_range=FULL)
    colorize(tmp_path / "a.mkv", tmp_path / "p_%d.dpx")
    path = tmp_path / "p_0.dpx"
    content = bytearray(path.read_bytes())
    # FFmpeg writes the generic header only; scanners also write those of film and television.
    assert content[4:8] == (1664).to_bytes(4, "big")
    content[1664:1664] = b"\xff" * 384
    content[4:8] = (2048).to_bytes(4, "big")
    if order == "little":
        samples = np.frombuffer(bytes(content[2048:]), ">u2").astype("<u2").tobytes()
        # SMPTE ST 268: numbers of the header that FFmpeg reads, and the samples.
        for at, size in [(0, 4), (4, 4), (16, 4), (24, 4), (28, 4), (770, 2), (772, 4), (776, 4)]:
            content[at : at + size] = content[at : at + size][::-1]
        for at, size in [(768, 2), (804, 2), (806, 2), (808, 4), (1628, 4), (1632, 4)]:
            content[at : at + size] = content[at : at + size][::-1]
        content[2048:] = samples
    content[160:170] = b"Old Lab 12"
    content[801:803] = bytes((3, 6))  # logarithmic; ITU-R 709
    for at, value in ((1628, 4), (1632, 3), (1920, 0x01023016)):
        content[at : at + 4] = value.to_bytes(4, order)
    content[1664:1674] = b"KODAK EDGE"
    path.rename(tmp_path / "q_0175.dpx").write_bytes(content)
    with pytest.warns(FilmWarning) as told:
        colorize(tmp_path / "q_%04d.dpx", tmp_path / "out_%06d.dpx")
    assert any("hold logarithmic" in str(one.message) for one in told)
    made = (tmp_path / "out_000175.dpx").read_bytes()
    assert made[:4] == content[:4]
    for start, end in ((160, 170), (801, 803), (1628, 1636), (1664, 1674), (1920, 1924)):
        assert made[start:end] == content[start:end]
    with pytest.warns(FilmWarning, match="hold logarithmic"):
        result = open_film(str(tmp_path / "out_%06d.dpx"))
    assert result.facts.aspect == Fraction(4, 3)
    (before,) = open_film(str(tmp_path / "a.mkv")).frames()
    (after,) = result.frames()
    np.testing.assert_array_equal(gray_of(after.image), before.image)


@pytest.mark.slow
def test_the_light_of_a_master_goes_to_x265(tmp_path):
    make_film(tmp_path / "a.mkv", 1, pixels="yuv420p10le", size=(80, 64))
    _gray_film(tmp_path / "m.mkv", "yuv420p10le")
    options = (
        "log-level=none:max-cll=1000,400:master-display="
        "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    )
    with av.open(str(tmp_path / "lit.mkv"), "w") as film:
        video = film.add_stream("libx265", rate=25, options={"x265-params": options})
        video.width, video.height, video.pix_fmt = 80, 64, "yuv420p10le"
        for frame in decoded(tmp_path / "m.mkv"):
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
    facts = open_film(str(tmp_path / "lit.mkv")).facts
    coding = choose_coding(tmp_path / "b.mkv", facts, lossless=False, crf=16)
    said = set(options.split(":")[1:])
    assert said <= set(coding.options["x265-params"].split(":"))
    colorize(tmp_path / "lit.mkv", tmp_path / "b.mkv")
    assert open_film(str(tmp_path / "b.mkv")).facts.light == facts.light
    with pytest.warns(FilmWarning, match="mastering display and content light level"):
        colorize(tmp_path / "lit.mkv", tmp_path / "c.mkv", lossless=True)


def test_metadata_that_is_not_utf_8_stays_byte_for_byte(tmp_path):
    source = tmp_path / "old.mkv"
    make_film(source, 1)
    source.write_bytes(source.read_bytes().replace(b"A film", b"caf\xe9 \xff"))
    colorize(source, tmp_path / "color.mkv")
    assert b"caf\xe9 \xff" in (tmp_path / "color.mkv").read_bytes()


def _captioned(path: Path) -> None:
    """H.264 with captions of CEA-608 in the first frame (ATSC A/53 part 4, 6.2.3)."""
    make_film(
        path.with_suffix(".mp4"), 3, codec="libx264", options={"x264-params": "repeat-headers=1"}
    )
    pair = bytes([0xFC, 0x94, 0x2C])  # field 1: erase what is displayed
    content = b"\xb5\x00\x31GA94\x03" + bytes([0x41, 0xFF]) + pair + b"\xff"
    message = b"\x00\x00\x00\x01\x06\x04" + bytes([len(content)]) + content + b"\x80"
    with (
        av.open(str(path.with_suffix(".mp4"))) as film,
        av.open(str(path), "w", format="h264") as raw,
    ):
        copy = raw.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = copy
                raw.mux(packet)
    stream = path.read_bytes()
    slice_at = stream.index(b"\x00\x00\x01\x65")
    path.write_bytes(stream[:slice_at] + message[1:] + stream[slice_at:])


def test_captions_inside_the_video_stay_or_their_loss_is_told(tmp_path):
    _captioned(tmp_path / "a.h264")
    assert decoded(tmp_path / "a.h264")[0].side_data.get("A53_CC") is not None
    colorize(tmp_path / "a.h264", tmp_path / "b.mp4")
    told = decoded(tmp_path / "b.mp4")[0].side_data.get("A53_CC")
    assert told is not None
    assert bytes(told)[:3] == bytes([0xFC, 0x94, 0x2C])
    with pytest.warns(FilmWarning, match="captions inside the video"):
        colorize(tmp_path / "a.h264", tmp_path / "c.mkv", lossless=True)
