"""A request is checked against where it will run: paths of this machine alone are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.run.launch.launching import check, is_relative, show
from pipelines.run.launch.submission import Launching
from pipelines.run.order import Order
from pipelines.spec import EmbedSpec


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a job, some code and a model, of which the model does not travel."""
    for name in ("jobs/embed.py", "mine/code.py", "kept/model/config.json", "small/config.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / ".rayignore").write_text("kept/\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arguments(**changes: Any) -> dict[str, Any]:
    given = {"documents": "s3://c/", "output": "/shared/vectors", "spec": EmbedSpec(model="a/model"), "user_code": ""}
    return given | changes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"documents": ""}, "no corpus is named"),
        ({"limit": -1}, "limit is -1"),
        ({"documents": ["s3://c/", "build/sotu"]}, "documents build/sotu is a path of this machine"),
        ({"output": "vectors"}, "output vectors is a path of this machine"),
        ({"user_code": "kept"}, "user_code kept does not travel"),
        ({"spec": EmbedSpec(model="kept/model")}, "model kept/model is on this machine alone"),
    ],
)
def test_what_the_cluster_would_not_find_is_refused(house: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        check("embed", Order, arguments(**changes), [], Launching())


@pytest.mark.parametrize("model", ["a/model", "small", "package:a/b", "s3://models/a", "/shared/model"])
def test_what_travels_or_is_elsewhere_is_taken(house: Path, model: str) -> None:
    asked = arguments(user_code="mine", spec=EmbedSpec(model=model))
    found = check("embed", Order, asked, ["--limit=5"], Launching())
    assert (found.job, found.flags, found.output, found.parcel.folder) == (
        "embed", ("--limit=5",), "/shared/vectors", house,
    )  # fmt: skip


def test_a_folder_without_the_job_is_refused(house: Path) -> None:
    with pytest.raises(SpecError, match=r"holds no jobs/predict\.py that travels: name the checkout by --working_dir"):
        check("predict", Order, arguments(), [], Launching())
    with pytest.raises(SpecError, match="there is no such folder"):
        check("embed", Order, arguments(), [], Launching(working_dir="nowhere"))


@pytest.mark.parametrize(
    ("place", "relative"),
    [("a", True), ("./a/*.parquet", True), ("/a", False), ("s3://a", False), ("package:a/b", False), ("", False)],
)
def test_paths_from_the_root_and_uris_are_not_relative(place: str, relative: bool) -> None:
    assert is_relative(place) is relative


def test_what_is_shown_names_variables_and_files(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = Launching(address="http://head:8265", secrets=("HF_TOKEN",))
    assert show(check("embed", Order, arguments(), ["--limit=5"], where), arguments()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("id          embed-shared-vectors-")
    assert lines[1] == "address     http://head:8265"
    assert lines[2].endswith("exec python -m jobs.embed --limit=5")
    assert lines[3:5] == [
        "environment HF_TOKEN, which must be set there",
        f"travels     4 files, 12 B, of {house}",
    ]
    assert lines[5:9] == [
        "                 6 B  .rayignore (1)",
        "                 2 B  jobs (1)",
        "                 2 B  mine (1)",
        "                 2 B  small (1)",
    ]
    assert lines[9].startswith("no plan from here: ")  # there is no such model
