"""The journal: complete, in order, cut off in the middle, cleared away."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from infra.rehearsal.cloud.delivery.journal import Delivered, Entry, Journal, Reader


def test_what_is_appended_is_read_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    reader = Reader(journal.folder, set())
    assert reader.read() == []
    assert journal.append(5, [b"a", b""]) == 0
    assert journal.append(6, [b"b" * 1000]) == 2
    assert reader.read() == [Entry(0, 5, b"a"), Entry(1, 5, b""), Entry(2, 6, b"b" * 1000)]
    assert reader.read() == []
    assert journal.waiting() == 3
    journal.close()
    with pytest.raises(ValueError, match="closed"):
        journal.append(7, [b"c"])


def test_what_was_delivered_is_skipped_by_the_next_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(1, [b"0", b"1", b"2", b"3", b"4"])
    delivered = Delivered(journal.folder)
    delivered.note([3, 0, 1])
    delivered.note([])
    assert journal.waiting() == 2
    with (journal.folder / "delivered").open("ab") as file:
        file.write(b"cut")  # a death in the middle of a note
    again = Delivered(journal.folder)
    assert again.before() == {0, 1, 3}
    assert [entry.data for entry in Reader(journal.folder, again.before()).read()] == [b"2", b"4"]
    again.note([4])
    assert [journal.waiting(before) for before in range(7)] == [0, 0, 0, 1, 1, 1, 1]
    again.note([2])
    assert journal.waiting() == journal.waiting(3) == 0


def test_an_entry_that_is_not_whole_yet_waits(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(1, [b"whole"])
    (path,) = journal.folder.glob("journal-*")
    content = path.read_bytes()
    path.write_bytes(content + content[:-2])
    reader = Reader(journal.folder, set())
    assert [entry.data for entry in reader.read()] == [b"whole"]
    path.write_bytes(content + content)
    assert [entry.data for entry in reader.read()] == [b"whole"]


def test_files_follow_each_other_and_go_when_they_are_done(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", segment_bytes=100)
    for index in range(20):
        journal.append(index, [f"{index:020d}".encode()])
    files = sorted(path.name for path in journal.folder.glob("journal-*"))
    assert len(files) == 7
    reader = Reader(journal.folder, set())
    read: list[int] = []
    while entries := reader.read():
        read += [entry.number for entry in entries]
    assert read == list(range(20))
    reader.forget(9)
    assert sorted(path.name for path in journal.folder.glob("journal-*")) == files[3:]
    reader.forget(20)
    assert sorted(path.name for path in journal.folder.glob("journal-*")) == files[-1:]
    late = Reader(journal.folder, set())
    assert [entry.number for entry in late.read()] == [18, 19]


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", segment_bytes=5000)

    def write(writer: int) -> None:
        for index in range(100):
            journal.append(1, [f"{writer}-{index}".encode()])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader, data = Reader(journal.folder, set()), []
    while entries := reader.read():
        data += [entry.data.decode() for entry in entries]
    assert sorted(data) == sorted(f"{writer}-{index}" for writer in range(8) for index in range(100))
