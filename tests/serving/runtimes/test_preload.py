import subprocess
import sys

import msgspec

from serinus.serving.runtimes import preload
from serinus.wire import PACKAGE_FILE, Package, Route, RoutingTable, Target


def table(tmp_path, **forms):
    routes = {}
    for name, form in forms.items():
        folder = tmp_path / name
        folder.mkdir()
        if form:
            package = Package(form=form, path="model.onnx")
            (folder / PACKAGE_FILE).write_bytes(msgspec.json.encode(package))
        routes[name] = Route(name, Target("1.0.0", str(folder)))
    return RoutingTable(1, routes)


def test_modules_of_graphs_bring_no_other_library():
    """Asked of a process of its own, since this one has imported everything already."""
    script = (
        "import importlib, sys, threading\n"
        "from serinus.serving.runtimes import preload\n"
        "import serinus.serving.workers.gateway\n"
        "for name in preload.modules(None): importlib.import_module(name)\n"
        "found = {'pandas', 'sklearn', 'scipy', 'mlflow', 'pyarrow', 'duckdb'} & set(sys.modules)\n"
        "assert not found, found\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_modules_follow_the_forms_of_the_table(tmp_path):
    graphs = preload.modules(table(tmp_path, a="onnx", b="onnx"))
    assert graphs == preload.modules(None)
    assert "sklearn.pipeline" not in graphs


def test_modules_of_an_original_are_its_librarys(tmp_path):
    assert "sklearn.pipeline" in preload.modules(table(tmp_path, a="onnx", b=""))


def test_modules_of_a_process_are_its_own_affair(tmp_path):
    assert "sklearn.pipeline" not in preload.modules(table(tmp_path, a="process"))
