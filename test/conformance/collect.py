"""Gathers the ONNX project's backend tests into one folder that JavaScript can read.

    python3 collect.py OUT [DEBIAN_DATA]

Cases come from the `onnx` package that this Python imports (one-op cases are made by its own case scripts; the others lie in its
folder) and from an unpacked libonnx-testdata. Beside each case `index.json` says under which versions of its op's schema the model is
valid, so that one case tests every version it fits. Whole graphs of opsets before 13 are also converted to 13 by onnx itself.
"""

import json
import os
import sys

import numpy
import onnx
from onnx import numpy_helper, version_converter

LARGEST_OPSET = 26
LARGEST_IR = 13


def since_versions():
    versions = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            versions.setdefault(schema.name, set()).add(schema.since_version)
    return {name: sorted(found) for name, found in versions.items()}


SINCE = since_versions()


def opset_of(model):
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def with_opset(model, opset):
    """The same nodes read as another opset, or None where its checker refuses them."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for entry in changed.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = opset
    try:
        onnx.checker.check_model(changed, full_check=True)
    except Exception:
        return None
    return changed


def version_in_force(op, opset):
    return max((since for since in SINCE.get(op, []) if since <= opset), default=None)


def valid_versions(model):
    """For models of one node: [[since version, highest opset with that meaning], ...]."""
    nodes = model.graph.node
    if len(nodes) != 1 or nodes[0].domain not in ("", "ai.onnx") or model.functions:
        return []
    versions = [since for since in SINCE.get(nodes[0].op_type, []) if since <= LARGEST_OPSET]
    ends = [*(since - 1 for since in versions[1:]), LARGEST_OPSET]
    spans = [[since, end] for since, end in zip(versions, ends) if end >= 7]
    return [span for span in spans if with_opset(model, span[1]) is not None]


def is_plain(values):
    return all(isinstance(value, (onnx.TensorProto, numpy.ndarray, numpy.generic)) for value in values)


def to_proto(value):
    return value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(numpy.asarray(value))


class Writer:
    def __init__(self, out):
        self.out = out
        self.index = []

    def add(self, name, source, model, data_sets, tolerances):
        model.ir_version = min(model.ir_version, LARGEST_IR)
        folder = f"{source}/{name}"
        path = os.path.join(self.out, folder)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "model.onnx"), "wb") as file:
            file.write(model.SerializeToString())
        sets = 0
        for inputs, outputs in data_sets:
            if not (is_plain(inputs) and is_plain(outputs)):
                continue
            for kind, values in (("input", inputs), ("output", outputs)):
                for index, value in enumerate(values):
                    with open(os.path.join(path, f"{kind}_{sets}_{index}.pb"), "wb") as file:
                        file.write(to_proto(value).SerializeToString())
            sets += 1
        self.index.append(
            {
                "folder": folder,
                "ops": [f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in model.graph.node],
                "opset": opset_of(model),
                "versions": valid_versions(model),
                "sets": sets,
                "inputs": len(data_sets[0][0]) if data_sets else 0,
                "outputs": len(data_sets[0][1]) if data_sets else 0,
                **tolerances,
            }
        )
        # Old graphs as a newer opset says them; what onnx computes for them stays the answer.
        if len(model.graph.node) > 0 and 0 < opset_of(model) < 7 and source != "converted":
            try:
                converted = version_converter.convert_version(model, 13)
            except Exception:
                return
            self.add(name, "converted", converted, data_sets, tolerances)


def read_proto(path):
    """A tensor, or None for sequences, maps and optionals."""
    with open(path, "rb") as file:
        content = file.read()
    tensor = onnx.TensorProto()
    try:
        tensor.ParseFromString(content)
        numpy_helper.to_array(tensor)
    except Exception:
        return None
    return tensor


def read_set(folder):
    names = sorted(os.listdir(folder), key=lambda name: (len(name), name))
    return [
        [read_proto(os.path.join(folder, name)) for name in names if name.startswith(kind)]
        for kind in ("input_", "output_")
    ]


def add_folder(writer, root, source):
    for name in sorted(os.listdir(root)):
        folder = os.path.join(root, name)
        path = os.path.join(folder, "model.onnx")
        if not os.path.exists(path):
            continue
        model = onnx.load(path)
        sets = [entry for entry in sorted(os.listdir(folder)) if entry.startswith("test_data_set_")]
        data = [read_set(os.path.join(folder, entry)) for entry in sets]
        writer.add(name, source, model, data, {"rtol": 1e-3, "atol": 1e-7})


def dummy(info):
    """The input onnx's own runner makes for its weightless ImageNet topologies."""
    dims = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
    count = int(numpy.prod(dims))
    return (numpy.arange(count).reshape(dims) / count).astype(numpy.float32)


def add_light(writer, root):
    for file in sorted(os.listdir(root)):
        if not file.endswith(".onnx"):
            continue
        model = onnx.load(os.path.join(root, file))
        held = {tensor.name for tensor in model.graph.initializer}
        inputs = [dummy(info) for info in model.graph.input if info.name not in held]
        output = read_proto(os.path.join(root, file.replace(".onnx", "_output_0.pb")))
        writer.add(file[: -len(".onnx")], "light", model, [(inputs, [output])], {"rtol": 1e-3, "atol": 1e-5})


def add_generated(writer):
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        writer.add(
            case.name, "onnx-node", case.model, case.data_sets, {"rtol": case.rtol, "atol": case.atol}
        )


def ramp(*dims):
    return numpy.linspace(-2, 3, int(numpy.prod(dims)), dtype=numpy.float32).reshape(dims)


# Forms that onnx's own tests no longer hold: what became inputs was attributes once. Op, opset, attributes, inputs.
OLD_FORMS = [
    ("Clip", 10, {"min": -1.0, "max": 1.5}, [ramp(2, 3, 4)]),
    ("Clip", 10, {"max": 0.5}, [ramp(3, 5)]),
    ("DepthToSpace", 10, {"blocksize": 2}, [ramp(1, 8, 2, 3)]),
    ("Pad", 10, {"pads": [0, 0, 1, 2, 0, 0, 0, 1]}, [ramp(1, 2, 3, 4)]),
    ("Pad", 10, {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 1.5}, [ramp(1, 2, 3, 4)]),
    ("Pad", 10, {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "mode": "reflect"}, [ramp(1, 2, 3, 4)]),
    ("Pad", 10, {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "mode": "edge"}, [ramp(1, 2, 3, 4)]),
    ("Pow", 11, {}, [ramp(2, 3), numpy.array(2, numpy.float32)]),
    ("Pow", 11, {}, [numpy.abs(ramp(2, 3)), numpy.array(0.5, numpy.float32)]),
    ("Pow", 11, {}, [ramp(2, 3), numpy.array([1], numpy.float32)]),
    ("ReduceSum", 10, {"axes": [1], "keepdims": 0}, [ramp(2, 3, 4)]),
    ("ReduceSum", 10, {"axes": [2, 3]}, [ramp(2, 3, 4, 5)]),
    ("ReduceSum", 12, {"axes": [-1]}, [ramp(2, 3, 4)]),
    ("ReduceSum", 10, {}, [ramp(2, 3)]),
    ("Slice", 9, {"axes": [0, 2], "starts": [1, -3], "ends": [2, 1000]}, [ramp(3, 2, 5)]),
    ("Slice", 9, {"starts": [0, 1], "ends": [2, -1]}, [ramp(3, 4)]),
    ("Squeeze", 10, {"axes": [0, 2]}, [ramp(1, 3, 1, 4)]),
    ("Squeeze", 12, {"axes": [-2]}, [ramp(1, 3, 1, 4)]),
    ("Squeeze", 10, {}, [ramp(1, 3, 1, 4)]),
    ("Upsample", 8, {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 3.0]}, [ramp(1, 2, 3, 3)]),
    ("Upsample", 9, {"mode": "nearest"}, [ramp(1, 2, 3, 3), numpy.array([1, 1, 2, 3], numpy.float32)]),
    ("Resize", 10, {"mode": "nearest"}, [ramp(1, 2, 3, 3), numpy.array([1, 1, 2, 3], numpy.float32)]),
    (
        "Resize",
        12,
        {"mode": "nearest"},
        [ramp(1, 2, 3, 3), numpy.array([], numpy.float32), numpy.array([1, 1, 2, 2], numpy.float32)],
    ),
    *(("Cast", opset, {"to": 1}, [ramp(2, 3)]) for opset in (8, 12, 18, 20, 22, 23, 24, 26)),
]


def add_old_forms(writer):
    """Their outputs are those of onnx's reference evaluator; where it has none, onnxruntime judges alone."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    for number, (op, opset, attributes, arrays) in enumerate(OLD_FORMS):
        names = [f"in{index}" for index in range(len(arrays))]
        node = helper.make_node(op, names, ["out"], **attributes)
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, arrays)
        ]
        output = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
        graph = helper.make_graph([node], op, inputs, [output])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
        try:
            outputs = ReferenceEvaluator(model).run(None, dict(zip(names, arrays)))
        except Exception:
            outputs = None
        sets = [(arrays, outputs if outputs is not None else [numpy.zeros(0, numpy.float32)])]
        tolerances = {"rtol": 1e-3, "atol": 1e-7, **({"isRecorded": False} if outputs is None else {})}
        writer.add(f"{op.lower()}_{number}", "old-forms", model, sets, tolerances)


def main():
    out = sys.argv[1]
    writer = Writer(out)
    add_generated(writer)
    data = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
    for source in ("pytorch-converted", "pytorch-operator", "simple"):
        add_folder(writer, os.path.join(data, source), source)
    add_old_forms(writer)
    add_light(writer, os.path.join(data, "light"))
    if len(sys.argv) > 2:
        for source in sorted(os.listdir(sys.argv[2])):
            add_folder(writer, os.path.join(sys.argv[2], source), f"debian-{source}")
    with open(os.path.join(out, "index.json"), "w") as file:
        json.dump({"onnx": onnx.__version__, "sinceVersions": SINCE, "cases": writer.index}, file)
    print(f"{len(writer.index)} cases")


if __name__ == "__main__":
    main()
