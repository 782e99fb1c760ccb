"""The `nexrad` command as a person runs it: what it does, its output, its exit status; some of it as a process."""

import json
import os
import re
import struct
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from nexrad_assets.commands.main import main
from tests.nexrad_assets.radar.bombs import packed_zeros
from tests.samples import LEVEL2, LEVEL3, level2_files, level3_files, needs_samples

SMALL = LEVEL2 / "2014/01/01/KTLX/KTLX20140101_000624_V06.gz"


@dataclass(frozen=True)
class Ran:
    """What a command line came to."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments, **environment) -> Ran:
    """The command as a process of its own."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from nexrad_assets.commands.main import main; sys.exit(main())",
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **variables(environment)},
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def variables(given) -> dict[str, str]:
    return {"DAGSTER_HOME": "", **{name: str(value) for name, value in given.items()}}


@pytest.fixture
def nexrad(monkeypatch, capfd):
    """The command within this process, which spares the start of one: what it writes, and its exit status."""

    def nexrad(*arguments, **environment) -> Ran:
        for name, value in variables(environment).items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        try:
            status = main(list(map(str, arguments)))
        except SystemExit as ended:
            status = ended.code
        return Ran(status, *capfd.readouterr())

    return nexrad


@pytest.fixture
def bomb(tmp_path):
    """760 bytes that would unpack to 900 MB."""
    packed = packed_zeros(20)
    path = tmp_path / "KLOT20250101_010000_V06"
    path.write_bytes(
        b"AR2V0006.001" + struct.pack(">II", 20_000, 0) + b"KLOT" + struct.pack(">i", len(packed)) + packed
    )
    assert len(path.read_bytes()) < 800
    return path


@needs_samples
class TestRender:
    def test_every_sample_renders_every_tilt_with_its_metadata(self, tmp_path):
        done = command("render", *level2_files(), "--out", tmp_path, "--size", 256)
        assert done.returncode == 0, done.stdout + done.stderr
        tilts = {
            line.split(":")[0]: int(re.search(r": (\d+) tilts", line)[1])
            for line in done.stdout.splitlines()[:-1]
        }
        assert tilts == {
            "KLOT19950413_132143.gz": 9,
            "KTLX20100501_000444_V03.gz": 5,
            "KTLX20140101_000624_V06.gz": 5,
            "KLBB20160601_150025_V06": 9,
            "KDMX20220305_232324_V06": 2,
            "KLOT20220317_000842_V06": 9,
            "KDMX20250101_225441_V06": 5,
        }
        assert done.stdout.splitlines()[-1].startswith("7 of 7 files, 44 images")
        images = sorted(path.name for path in tmp_path.glob("*.png"))
        assert len(images) == 44
        assert "KLOT19950413_132143_V01_reflectivity_idx8.png" in images
        assert {path.stem for path in tmp_path.glob("*.json")} == {path[:-4] for path in images}

    def test_tilts_are_numbered_from_the_lowest_angle(self, tmp_path, nexrad):
        nexrad("render", SMALL, "--out", tmp_path, "--size", 128)
        angles = [
            json.loads((tmp_path / f"KTLX20140101_000624_V06_reflectivity_idx{index}.json").read_text())
            for index in range(5)
        ]
        assert [one["elevation_index"] for one in angles] == [1, 2, 3, 4, 5]
        measured = [one["elevation_angle_degrees"] for one in angles]
        assert measured == sorted(measured)

    def test_the_image_has_the_size_asked_for_and_shows_echoes(self, tmp_path, nexrad):
        nexrad("render", SMALL, "--out", tmp_path, "--size", 512)
        image = Image.open(tmp_path / "KTLX20140101_000624_V06_reflectivity_idx0.png")
        assert image.size == (512, 512)
        assert np.count_nonzero(np.asarray(image) > 1) > 100

    def test_bad_files_give_one_clear_line_each_and_the_rest_goes_on(self, tmp_path, bomb):
        text, empty = tmp_path / "notes.txt", tmp_path / "KLOT20250101_000000_V06"
        text.write_text("hello radar\n")
        empty.touch()
        gone = tmp_path / "KLOT20250101_020000_V06"
        done = command("render", text, empty, bomb, gone, SMALL, "--out", tmp_path / "out", "--size", 128)
        assert done.returncode == 1
        lines = done.stdout.splitlines()
        failed = [line for line in lines if line.startswith("FAILED")]
        assert len(failed) == 4
        for file, words in (
            (text, "not an Archive II volume"),
            (empty, "empty"),
            (bomb, "unpacks past"),
            (gone, "No such"),
        ):
            assert any(file.name in line and words in line for line in failed), (file.name, failed)
        assert lines[-1].startswith("1 of 5 files")
        assert len(list((tmp_path / "out").glob("*.png"))) == 5
        assert done.stderr == ""

    def test_an_output_that_is_a_file_is_refused_in_a_line(self, tmp_path):
        (tmp_path / "out").touch()
        done = command("render", SMALL, "--out", tmp_path / "out")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1

    def test_no_unfinished_file_stays(self, tmp_path, nexrad):
        nexrad("render", SMALL, "--out", tmp_path, "--size", 128)
        assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".json"}

    @pytest.mark.parametrize("size", ["501", "0", "9000", "many"])
    def test_a_size_that_cannot_be_is_refused(self, tmp_path, size, nexrad):
        done = nexrad("render", SMALL, "--out", tmp_path, "--size", size)
        assert done.returncode == 2
        assert "--size" in done.stderr


@needs_samples
class TestRenderProducts:
    def test_every_sample_gives_an_image_or_a_document_or_is_refused_by_one_line_that_names_it(
        self, tmp_path
    ):
        done = command("render", *level3_files(), "--out", tmp_path, "--size", 128)
        assert done.returncode == 1
        lines = done.stdout.splitlines()
        assert [line for line in lines if line.startswith("FAILED")] == [
            "FAILED BMX_N0M_2015_01_02_02_05_00: product N0M (message 166) is not one of ours",
            "FAILED BMX_NCR_2015_01_02_02_05_00: product NCR (message 37) is not one of ours",
        ]
        assert len(lines) == len(level3_files()) + 1
        assert lines[-1].startswith("53 of 55 files, 45 images")
        assert done.stderr == ""
        images = {path.stem for path in tmp_path.glob("*.png")}
        assert images == {path.stem for path in tmp_path.glob("*_idx0.json")}
        assert len(images) == 45
        documents = {path.name for path in tmp_path.iterdir() if "_idx" not in path.name}
        assert documents == {
            "KAMX20260710_045717_NMD_mesocyclones.geojson",
            "KAMX20260710_045717_NST_storms.geojson",
            "KAMX20260710_045717_NVW_winds.json",
            "KBMX20150102_020500_NHI_hail.geojson",
            "KBMX20150102_020500_NMD_mesocyclones.geojson",
            "KBMX20150102_020500_NST_storms.geojson",
            "KICT20260710_050719_NST_storms.geojson",
            "KLOT20210621_042731_NMD_mesocyclones.geojson",
        }

    def test_an_image_has_the_name_and_the_metadata_of_the_contract(self, tmp_path, nexrad):
        done = nexrad("render", LEVEL3 / "LOT_HHC_2021_01_31_11_06_30", "--out", tmp_path, "--size", 512)
        assert done.returncode == 0, done.stdout
        assert "LOT_HHC_2021_01_31_11_06_30: Hybrid hydrometeor classification" in done.stdout
        image = Image.open(tmp_path / "KLOT20210131_110630_HHC_hydrometeor_idx0.png")
        metadata = json.loads((tmp_path / "KLOT20210131_110630_HHC_hydrometeor_idx0.json").read_text())
        shown = set(np.unique(np.asarray(image)).tolist())
        assert image.size == (512, 512)
        assert len(shown & {10, 20, 30, 40, 50, 60, 70, 80, 90, 100}) > 3
        assert shown <= {int(code) for code in metadata["codes"]}
        assert (metadata["site"], metadata["product"], metadata["code"]) == ("KLOT", "hydrometeor", "HHC")

    def test_nothing_fell_is_an_image_of_nothing(self, tmp_path, nexrad):
        done = nexrad("render", LEVEL3 / "LOT_DAA_2021_05_08_03_40_29", "--out", tmp_path, "--size", 128)
        assert done.returncode == 0, done.stdout
        image = Image.open(tmp_path / "KLOT20210508_034029_DAA_precipitation_idx0.png").convert("RGBA")
        assert np.asarray(image)[..., 3].max() == 0

    def test_storm_tracks_are_geojson_around_their_radar(self, tmp_path, nexrad):
        nexrad("render", LEVEL3 / "ICT_NST_2026_07_10_05_07_19", "--out", tmp_path)
        document = json.loads((tmp_path / "KICT20260710_050719_NST_storms.geojson").read_text())
        points = [
            one["geometry"]["coordinates"]
            for one in document["features"]
            if one["geometry"]["type"] == "Point"
        ]
        assert len(points) == 38
        assert all(abs(east + 97.44) < 6 and abs(north - 37.65) < 5 for east, north in points)

    def test_volumes_and_products_of_one_call_lie_side_by_side(self, tmp_path, nexrad):
        renamed = tmp_path / "some_name"
        renamed.write_bytes((LEVEL3 / "LOT_HHC_2021_04_28_21_11_56").read_bytes())
        broken = tmp_path / "LOT_HHC_2021_01_01_00_00_00"
        broken.write_bytes((LEVEL3 / "LOT_HHC_2021_01_31_11_06_30").read_bytes()[:4000])
        files = (SMALL, LEVEL3 / "AMX_DAA_2026_07_10_04_57_17", renamed, broken)
        done = nexrad("render", *files, "--out", tmp_path / "out", "--size", 128)
        assert done.returncode == 1
        (failed,) = (line for line in done.stdout.splitlines() if line.startswith("FAILED"))
        assert failed.startswith(f"FAILED {broken.name}: cut short")
        scans = {path.name.rpartition("_idx")[0] for path in (tmp_path / "out").glob("*.png")}
        assert scans == {
            "KTLX20140101_000624_V06_reflectivity",
            "KAMX20260710_045717_DAA_precipitation",
            "KLOT20210428_211156_HHC_hydrometeor",
        }


class TestSites:
    def test_all_are_listed(self):
        assert len(command("sites").stdout.splitlines()) == 205

    def test_a_part_of_a_name_finds_it(self, nexrad):
        assert nexrad("sites", "pendleton").stdout.startswith("KPDT")

    def test_what_is_not_there_is_said(self):
        done = command("sites", "atlantis")
        assert (done.returncode, done.stdout) == (1, "")
        assert "atlantis" in done.stderr


def test_simulated_volumes_are_laid_out_as_the_bucket_is(tmp_path, nexrad):
    done = nexrad(
        "simulate", "--out", tmp_path, "--site", "KTLX", "--start", "2025-05-20T23:50", "--minutes", "12"
    )
    assert done.returncode == 0, done.stderr
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("KTLX*"))
    assert all(re.fullmatch(r"2025/05/2[01]/KTLX(/KTLX2025052[01]_\d{6}_V06)?", file) for file in files)
    assert sum(file.endswith("_V06") for file in files) in (2, 3)


def test_simulating_an_unknown_site_is_refused(tmp_path, nexrad):
    done = nexrad("simulate", "--out", tmp_path, "--site", "KXYZ")
    assert done.returncode == 1
    assert "KXYZ" in done.stderr


@needs_samples
class TestBackfill:
    def settings(self, tmp_path):
        return {
            "STORE": tmp_path / "store",
            "NEXRAD_SOURCE": LEVEL2,
            "NEXRAD_GEOMETRY_CACHE": tmp_path / "geometry",
            "NEXRAD_IMAGE_SIZE": 256,
        }

    def test_a_day_of_a_site_is_fetched_and_rendered(self, tmp_path, nexrad):
        done = nexrad("backfill", "--site", "KLBB", "--day", "2016-06-01", **self.settings(tmp_path))
        assert done.returncode == 0, done.stderr
        assert "1 volumes listed, 0 known, 1 rendered with 9 images" in done.stdout
        assert len(list((tmp_path / "store" / "plots_level2" / "KLBB" / "20160601").glob("*.png"))) == 9

    def test_a_day_long_before_any_partition_works_too(self, tmp_path, nexrad):
        done = nexrad("backfill", "--site", "KLOT", "--day", "1995-04-13", **self.settings(tmp_path))
        assert done.returncode == 0, done.stderr
        assert "KLOT19950413_132143_V01" in done.stdout

    def test_dagster_is_told_of_a_day_that_is_a_partition(self, tmp_path):
        from dagster import AssetKey, DagsterInstance

        home = tmp_path / "dagster"
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        settings = {**self.settings(tmp_path), "DAGSTER_HOME": home, "NEXRAD_SITES": "KLBB"}
        done = command("backfill", "--site", "KLBB", "--day", "2016-06-01", **settings)
        assert done.returncode == 0, done.stderr
        with DagsterInstance.from_config(str(home)) as instance:
            event = instance.get_latest_materialization_event(AssetKey("nexrad_level2_sweeps"))
        assert event.asset_materialization.partition == "2016-06-01|KLBB"
        assert event.asset_materialization.metadata["images"].value == 9

    def test_a_removed_day_is_gone(self, tmp_path, nexrad):
        nexrad("backfill", "--site", "KLBB", "--day", "2016-06-01", **self.settings(tmp_path))
        done = nexrad("remove", "--site", "KLBB", "--day", "2016-06-01", **self.settings(tmp_path))
        assert done.stdout == "KLBB 2016-06-01: 1 scans with 9 objects removed\n"
        assert list((tmp_path / "store").rglob("*.png")) == []

    def test_a_day_of_products_is_fetched_and_rendered_also_of_codes_that_are_dead(self, tmp_path, nexrad):
        settings = {**self.settings(tmp_path), "NEXRAD_LEVEL3_SOURCE": LEVEL3}
        done = nexrad("backfill", "--site", "KLOT", "--day", "2021-01-31", "--level", "3", **settings)
        assert done.returncode == 0, done.stderr
        assert "4 products listed, 0 known, 4 rendered with 4 images and 0 documents" in done.stdout
        stored = (tmp_path / "store" / "plots_level3" / "KLOT" / "20210131").glob("*.png")
        assert {path.name.split("_")[2] for path in stored} == {"HHC", "N0H", "N0S", "N1P"}
        options = json.loads((tmp_path / "store" / "codes" / "KLOT" / "options.json").read_text())
        counts = {one["value"]: one["count"] for menu in options.values() for one in menu if one["count"]}
        assert counts == {"HHC": 1, "N0H": 1, "N1P": 1}

    def test_vectors_of_a_day_are_filled_in_and_removed_with_it(self, tmp_path, nexrad):
        settings = {
            **self.settings(tmp_path),
            "NEXRAD_LEVEL3_SOURCE": LEVEL3,
            "NEXRAD_LEVEL3_PRODUCTS": "NMD",
        }
        day = ("--site", "KLOT", "--day", "2021-06-21")
        done = nexrad("backfill", *day, "--level", "3", **settings)
        assert "1 products listed, 0 known, 1 rendered with 0 images and 1 documents" in done.stdout
        assert len(list((tmp_path / "store").rglob("*_mesocyclones.*.geojson"))) == 1
        done = nexrad("remove", *day, **settings)
        assert done.stdout == "KLOT 2021-06-21: 1 scans with 1 objects removed\n"
        assert list((tmp_path / "store").rglob("*.geojson")) == []

    def test_volumes_and_products_of_a_day_are_filled_in_apart_and_removed_together(self, tmp_path, nexrad):
        products = tmp_path / "products"
        products.mkdir()
        sample = LEVEL3 / "LOT_HHC_2021_01_31_11_06_30"
        (products / "LOT_HHC_2022_03_17_00_08_42").write_bytes(sample.read_bytes())
        os.utime(products / "LOT_HHC_2022_03_17_00_08_42", (1.6e9, 1.6e9))
        settings = {**self.settings(tmp_path), "NEXRAD_LEVEL3_SOURCE": products}
        day = ("--site", "KLOT", "--day", "2022-03-17")
        assert "1 volumes listed" in nexrad("backfill", *day, **settings).stdout
        assert list((tmp_path / "store").glob("plots_level3")) == []
        assert "1 products listed" in nexrad("backfill", *day, "--level", "3", **settings).stdout
        assert (
            nexrad("remove", *day, **settings).stdout == "KLOT 2022-03-17: 2 scans with 10 objects removed\n"
        )
        assert list((tmp_path / "store").rglob("*.png")) == []

    def test_a_refused_product_is_named_and_fails_the_command(self, tmp_path, nexrad):
        products = tmp_path / "products"
        products.mkdir()
        (products / "LOT_HHC_2021_01_31_11_06_30").write_bytes(b"no product")
        os.utime(products / "LOT_HHC_2021_01_31_11_06_30", (1.6e9, 1.6e9))
        settings = {**self.settings(tmp_path), "NEXRAD_LEVEL3_SOURCE": products}
        done = nexrad("backfill", "--site", "KLOT", "--day", "2021-01-31", "--level", "3", **settings)
        assert done.returncode == 1
        assert "FAILED LOT_HHC_2021_01_31_11_06_30: too short for a Level 3 product" in done.stdout

    def test_a_level_that_there_is_not_is_wrong_usage(self, tmp_path, nexrad):
        done = nexrad(
            "backfill", "--site", "KLOT", "--day", "2021-01-31", "--level", "4", **self.settings(tmp_path)
        )
        assert done.returncode == 2
        assert "--level" in done.stderr

    def test_one_day_that_fails_does_not_stop_the_next(self, tmp_path):
        settings = self.settings(tmp_path)
        damaged = tmp_path / "store" / "snapshots" / "KLBB" / "20160531.json"
        damaged.parent.mkdir(parents=True)
        damaged.write_text("{ damaged")
        done = command(
            "backfill", "--site", "KLBB", "--day", "2016-05-31", "--until", "2016-06-01", **settings
        )
        assert done.returncode == 1
        assert "snapshots/KLBB/20160531.json" in done.stderr
        assert "1 rendered with 9 images" in done.stdout

    def test_a_day_without_volumes_is_no_failure(self, tmp_path, nexrad):
        done = nexrad("backfill", "--site", "KLBB", "--day", "2016-06-02", **self.settings(tmp_path))
        assert done.returncode == 0
        assert "0 volumes listed" in done.stdout

    def test_an_unknown_site_is_refused(self, tmp_path, nexrad):
        done = nexrad("backfill", "--site", "KXYZ", "--day", "2016-06-01", **self.settings(tmp_path))
        assert done.returncode == 1
        assert "KXYZ" in done.stderr


@needs_samples
def test_rendering_a_modern_volume_imports_neither_py_art_nor_pyplot(tmp_path):
    script = (
        "import sys; from nexrad_assets.commands.main import main; main(); "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in {'pyart', 'matplotlib', 'dagster'}))"
    )
    volume = str(LEVEL2 / "2025/01/01/KDMX/KDMX20250101_225441_V06")
    command = [sys.executable, "-c", script, "render", volume, "--out", str(tmp_path), "--size", "128"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
