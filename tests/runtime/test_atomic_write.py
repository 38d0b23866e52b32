"""Laws of atomic writing: the old file or the whole new one, and nothing left behind."""

import os

import pytest

from deeplens_dof.runtime.atomic_write import write_atomically


def test_a_new_file_has_what_was_written(tmp_path):
    write_atomically(tmp_path / "new", lambda file: file.write(b"whole"))
    assert (tmp_path / "new").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "old").write_bytes(b"before")

    def fail(file):
        file.write(b"half")
        raise RuntimeError("stopped in the middle")

    with pytest.raises(RuntimeError, match="stopped in the middle"):
        write_atomically(tmp_path / "old", fail)
    assert (tmp_path / "old").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    seen = []

    def write(file):
        file.write(b"half")
        file.flush()
        seen.extend(path.name for path in tmp_path.iterdir())

    write_atomically(tmp_path / "new", write)
    assert len(seen) == 1
    assert seen[0].startswith(".deeplens-")
    assert seen[0].endswith(".part")


def test_permissions_of_a_replaced_file_stay(tmp_path):
    (tmp_path / "old").write_bytes(b"")
    (tmp_path / "old").chmod(0o640)
    write_atomically(tmp_path / "old", lambda file: file.write(b"new"))
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o640


def test_a_new_file_obeys_the_mask_of_the_process(tmp_path):
    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", lambda file: file.write(b"new"))
    finally:
        os.umask(mask)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["missing/new", "n" * 300])
def test_what_cannot_be_written_is_a_sentence(tmp_path, name):
    with pytest.raises(OSError, match=r"^cannot write") as caught:
        write_atomically(tmp_path / name, lambda file: file.write(b"new"))
    assert caught.value.__cause__ is not None
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence(tmp_path):
    def full(file):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"cannot write 'new' into .*: No space left on device"):
        write_atomically(tmp_path / "new", full)
    assert list(tmp_path.iterdir()) == []
