import subprocess
import sys
from pathlib import Path

import pytest
from tests.ledger.conftest import prediction

from serinus.errors import InvalidInput, Unavailable
from serinus.ledger import opening
from serinus.ledger.files.reader import Reader as FileReader
from serinus.ledger.files.writer import Writer as FileWriter
from serinus.ledger.streams.reader import Reader as StreamReader
from serinus.ledger.streams.writer import Writer as StreamWriter


def test_ledger_opens_by_its_address(tmp_path, redis_url):
    for address, kinds in (
        (tmp_path, (FileWriter, FileReader)),
        (redis_url, (StreamWriter, StreamReader)),
    ):
        opening.prepare(address)
        writer = opening.open_writer(address, segment_bytes=1_000, sync="os")
        reader = opening.open_reader(address)
        assert (type(writer), type(reader)) == kinds
        [id] = writer.append([prediction(1)])
        assert reader.lookup(id) == prediction(1)
        writer.close()
        reader.close()


def test_ledger_in_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be written"):
        opening.prepare(tmp_path / "file" / "ledger")


def test_ledger_at_a_server_says_what_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    for name in [name for name in sys.modules if name.startswith("serinus.ledger.streams")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InvalidInput, match=r"serinus\[redis\]") as caught:
        opening.open_reader("redis://localhost")
    assert caught.value.where == "ledger_url"


def test_ledger_in_files_needs_no_client_of_a_server(tmp_path):
    script = "import sys; import serinus.ledger.opening; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False).returncode == 0


def test_ledger_on_a_disk_is_not_for_an_event_loop(tmp_path):
    quick = {}
    for sync in ("os", "disk"):
        writer = opening.open_writer(Path(tmp_path), segment_bytes=1_000, sync=sync)
        quick[sync] = writer.is_quick
        writer.close()
    assert quick == {"os": True, "disk": False}
