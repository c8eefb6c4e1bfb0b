"""`import lilliput` is light, and its verbs can be called whether or not their rooms were imported."""

import os
import subprocess
import sys

import pytest

import lilliput
from lilliput.base.cache import cache_folder

IMPORTS = {
    "nothing else": "",
    "a room": "import lilliput.training.schedule, lilliput.decoding.sampling, lilliput.evaluation.verdict",
    "the API": "from lilliput import api",
}


TOLD = {"TORCHINDUCTOR_CACHE_DIR": "/somewhere/else"}


@pytest.mark.parametrize("imported", IMPORTS)
def test_verbs_are_callable(imported: str) -> None:
    code = f"""
import lilliput
{IMPORTS[imported]}
from lilliput.base.errors import LilliputError
for verb, words in (("train", ["no-such-recipe"]), ("generate", ["no-such-run"]), ("evaluate", ["no-such-run"])):
    try:
        getattr(lilliput, verb)(*words)
    except LilliputError as error:
        print(error.message)
import lilliput.training.schedule as schedule
print(schedule.Budget.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("there is no") == 3
    assert "Budget" in done.stdout


PUBLIC = """
import importlib, pkgutil, types
import lilliput
for module in pkgutil.walk_packages(lilliput.__path__, "lilliput."):
    if module.name != "lilliput.__main__":
        importlib.import_module(module.name)
from lilliput import api
for name in lilliput.__all__:
    thing = getattr(lilliput, name)
    assert not isinstance(thing, types.ModuleType), f"lilliput.{name} is a module"
    assert callable(thing), name
    assert thing.__doc__, f"lilliput.{name} has no docstring"
    assert thing is getattr(api, name), name
assert sorted(lilliput.__all__) == sorted(api.__all__)
print(len(lilliput.__all__))
"""


def test_every_public_name_is_callable_when_every_module_was_imported() -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    done = subprocess.run([sys.executable, "-c", PUBLIC], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 22


def test_the_old_name_of_the_text_generator_warns() -> None:
    with pytest.warns(DeprecationWarning, match=r"lilliput\.Storyteller is called lilliput\.TextGenerator"):
        assert lilliput.Storyteller is lilliput.TextGenerator  # type: ignore[attr-defined]


def test_the_command_and_the_package_do_not_import_torch() -> None:
    code = "import sys, lilliput, lilliput.cli.app; print(sorted({'torch', 'tokenizers', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_importing_changes_nothing_of_the_process() -> None:
    code = """
import os, signal, sys
before, mask, path = dict(os.environ), signal.pthread_sigmask(signal.SIG_BLOCK, ()), list(sys.path)
import lilliput
lilliput.__version__, lilliput.__all__, lilliput.train
assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())
assert (signal.pthread_sigmask(signal.SIG_BLOCK, ()), sys.path) == (mask, path)
maps = open("/proc/self/maps").read() if sys.platform == "linux" else ""
assert ".so" not in "".join(line for line in maps.splitlines() if os.environ["LILLIPUT_CACHE"] in line), maps
assert not os.path.exists(os.path.join(os.environ["LILLIPUT_CACHE"], "machine"))
print(sorted({"torch", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_what_is_compiled_is_kept_in_the_cache_unless_set_otherwise() -> None:
    code = "import os; from lilliput.base.runtime.start import begin; begin(); "
    code += "print(os.environ['TORCHINDUCTOR_CACHE_DIR'])"
    plain = {key: value for key, value in os.environ.items() if key != "TORCHINDUCTOR_CACHE_DIR"}
    for environment, kept in (
        (plain, str(cache_folder() / "inductor")),
        (plain | TOLD, TOLD["TORCHINDUCTOR_CACHE_DIR"]),
    ):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == kept
