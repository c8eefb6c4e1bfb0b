import pytest
import yaml

from lilliput.base.errors import ConfigError
from lilliput.lab.queue_file import QueueFile

BLOCK = """\
# what to train this week
experiments:
  # the small ones first
  - name: a   # a note
    config: a.yaml
    status: todo   # edit me

  - name: b
    config: b.yaml   # the last key
    environment:
      WORDS: "two words"   # inside
      COUNT: 3

  # nothing below

  - {name: c, config: c.yaml}   # in braces
  - name: d
    status:
    config: |
      d.yaml
# the end
"""
LAST = {"pid": 7, "host": "here: there", "started": "2026-11-21 04:05:53+00:00"}


def queue(tmp_path, text, newline="\n"):
    path = tmp_path / "experiments.yaml"
    path.write_bytes(text.replace("\n", newline).encode())
    return QueueFile(path)


def without_values(text):
    """The file's lines with what a worker writes taken out."""
    kept = [line for line in text.splitlines() if "last_run" not in line and line.strip() != "status: running"]
    return [line.replace("running", "todo") for line in kept]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_change_of_status_changes_nothing_else(tmp_path, newline):
    text = BLOCK.replace("    status:\n", "")
    file = queue(tmp_path, text, newline)
    for name in ("a", "b", "d"):
        file.update(name, status="running", last_run=LAST)
    written = file.path.read_bytes().decode()
    assert without_values(written) == text.splitlines()
    assert (written.count("\r\n") == written.count("\n")) == (newline == "\r\n")
    states = {one.name: (one.status, one.last_run and one.last_run.pid) for one in QueueFile(file.path).experiments}
    assert states == {"a": ("running", 7), "b": ("running", 7), "c": ("todo", None), "d": ("running", 7)}


def test_an_entry_in_braces_and_an_empty_status_can_be_changed(tmp_path):
    file = queue(tmp_path, BLOCK.replace("status:\n", "status: todo\n"))
    file.update("c", status="done", last_run={**LAST, "exit": 0})
    assert "{name: c, config: c.yaml, status: done, last_run: {pid: 7" in file.path.read_text()
    assert "}}   # in braces" in file.path.read_text()


def test_a_change_can_be_changed_again(tmp_path):
    file = queue(tmp_path, BLOCK.replace("    status:\n", ""))
    for status in ("running", "failed", "todo", "running", "done"):
        file.update("b", status=status, last_run={**LAST, "reason": f"it # was '{status}'"})
    again = QueueFile(file.path)
    assert again.experiments[1].status == "done"
    last = again.experiments[1].last_run
    assert last is not None
    assert last.reason == "it # was 'done'"
    assert again.text.count("last_run") == 1


def test_a_value_that_a_person_wrote_as_a_block_is_replaced(tmp_path):
    text = "- name: a\n  config: a.yaml\n  last_run:\n    pid: 1\n    host: x\n    started: y\n  status: todo\n"
    file = queue(tmp_path, text)
    file.update("a", last_run=LAST)
    assert yaml.safe_load(file.path.read_text())[0] == {
        "name": "a", "config": "a.yaml", "last_run": LAST, "status": "todo"
    }  # fmt: skip


def test_an_entry_shared_by_alias_is_refused_and_the_file_left_alone(tmp_path):
    text = "base: &a {name: a, config: a.yaml}\nexperiments:\n  - *a\n"
    file = queue(tmp_path, text)
    with pytest.raises(ConfigError, match="without changing more of the file"):
        file.update("a", status="done")
    assert file.path.read_text() == text


def test_numbers_in_the_environment_become_words(tmp_path):
    file = queue(tmp_path, "- {name: a, config: a.yaml, environment: {THREADS: 2}, devices: 1}\n")
    assert file.experiments[0].environment == {"THREADS": "2"}
    assert file.experiments[0].devices == "auto"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no list of experiments"),
        ("experiments: {a: 1}", "no list of experiments"),
        ("- {name: a}", "config"),
        ("- 3", "name"),
        ("- {name: ../a, config: x}", "name"),
        ("- {name: a, config: x, statsu: todo}", "did you mean 'status'"),
        ("- {name: a, config: x, status: finished}", "finished"),
        ("- {name: a, config: x, devices: 2}", "one device"),
        ("- {name: a, config: x, devices: [0, 1]}", "one device"),
        ("- {name: a, config: x, devices: true}", "one device"),
        ("- {name: a, config: x, environment: {A: yes}}", "quotes"),
        ("- {name: a, config: x}\n- {name: a, config: y}", "twice"),
        ("- {name: a, config: x", "not valid YAML"),
        ("\xff", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, text, message):
    path = tmp_path / "experiments.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=message):
        QueueFile(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no"):
        QueueFile(tmp_path / "no.yaml")
