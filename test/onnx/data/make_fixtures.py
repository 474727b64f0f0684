"""Writes the fixtures beside this file. Run with Python 3.11, onnx 1.23.1, numpy 2: python3 make_fixtures.py

onnx-fields.txt   field numbers and types of ONNX's own descriptors
every-field.onnx  a model with something in every field of IR version 13, raw data
tensors.onnx      one tensor of every element type, as raw data ("raw_TYPE") and in its typed field ("typed_TYPE")
tensors.json      dims and bytes of those tensors, as numpy has them
"""

import json
import os
import onnx
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.onnx_ml_pb2 import DESCRIPTOR

HERE = os.path.dirname(os.path.abspath(__file__))


def out(name):
    return os.path.join(HERE, name)


SCALARS = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 9: "string", 12: "bytes", 14: "int32"}


def field_lines(message, prefix=""):
    name = prefix + message.name
    for field in message.fields:
        kind = field.message_type.full_name[len("onnx.") :] if field.message_type else SCALARS[field.type]
        rule = "repeated" if field.is_repeated else "optional"
        packed = " packed" if field.GetOptions().packed else ""
        yield f"{name}.{field.name} = {field.number} {rule} {kind}{packed}"
    for nested in message.nested_types:
        yield from field_lines(nested, name + ".")


def write_fields():
    lines = [line for message in DESCRIPTOR.message_types_by_name.values() for line in field_lines(message)]
    with open(out("onnx-fields.txt"), "w") as file:
        file.write("\n".join(sorted(lines)) + "\n")


def props(**entries):
    return [onnx.StringStringEntryProto(key=key, value=value) for key, value in entries.items()]


def raw_tensor(name, kind, values):
    tensor = numpy_helper.from_array(np.array(values, dtype=kind))
    if name:
        tensor.name = name
    return tensor


def small_tensor(name, values):
    tensor = raw_tensor(name, "float32", values)
    tensor.doc_string = f"doc of {name}"
    tensor.metadata_props.extend(props(made="by hand"))
    return tensor


def sparse_tensor(name):
    values = raw_tensor(name, "float32", [1.5, -2.5])
    indices = raw_tensor("", "int64", [1, 3])
    return helper.make_sparse_tensor(values, indices, [5])


def body(name, captured):
    node = helper.make_node("Neg", [captured], [f"{name}_y"], name=f"{name}_neg")
    return helper.make_graph([node], name, [], [helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)])


def every_attribute():
    attributes = {
        "a_float": 0.1,
        "a_float_zero": 0.0,
        "an_int": 2**62 + 1,
        "an_int_min": -(2**63),
        "an_int_zero": 0,
        "a_string": b"\xff\x00raw",
        "a_string_empty": b"",
        "a_tensor": small_tensor("inner", [1.0, 2.0]),
        "a_graph": body("inner_graph", "x"),
        "a_sparse": sparse_tensor("sparse_value"),
        "a_type": helper.make_tensor_type_proto(TensorProto.INT8, [2, "n"]),
        "floats": [0.5, -0.0, float("inf")],
        "ints": [2**63 - 1, -1, 0],
        "strings": [b"", b"two"],
        "tensors": [small_tensor("first", [3.0]), raw_tensor("", "int64", 7)],
        "graphs": [body("left", "x"), body("right", "w")],
        "sparses": [sparse_tensor("other_sparse")],
        "types": [helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))],
    }
    protos = [helper.make_attribute(name, value) for name, value in attributes.items()]
    for name, kind in [("floats_empty", "FLOATS"), ("ints_empty", "INTS"), ("strings_empty", "STRINGS")]:
        protos.append(onnx.AttributeProto(name=name, type=getattr(onnx.AttributeProto, kind)))
    protos[0].doc_string = "doc of a_float"
    return protos


def device_configuration():
    spec = onnx.ShardingSpecProto(tensor_name="x", device=[0, -1])
    spec.index_to_device_group_map.append(onnx.IntIntListEntryProto(key=-1, value=[0, 1]))
    dim = spec.sharded_dim.add(axis=1)
    dim.simple_sharding.add(dim_value=4, num_shards=2)
    dim.simple_sharding.add(dim_param="n", num_shards=3)
    result = onnx.NodeDeviceConfigurationProto(configuration_id="two devices", pipeline_stage=1)
    result.sharding_spec.append(spec)
    return result


def every_node():
    special = onnx.NodeProto(op_type="Special", domain="test.custom", name="special", overload="second", doc_string="doc of special")
    special.input.extend(["x", "", "w"])
    special.output.extend(["s", "", "t"])
    special.attribute.extend(every_attribute())
    special.metadata_props.extend(props(scope="net.layer1", empty=""))
    special.device_configurations.append(device_configuration())
    standard = helper.make_node("Add", ["s", "t"], ["y"])
    sequence = helper.make_node("SequenceConstruct", ["y"], ["list"], name="collect")
    return [special, standard, sequence]


def value_types():
    tensor = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, None, 0])
    tensor.type.denotation = "IMAGE"
    tensor.type.tensor_type.shape.dim[1].denotation = "DATA_CHANNEL"
    tensor.doc_string = "doc of x"
    tensor.metadata_props.extend(props(layout="NCHW"))
    mapping = onnx.ValueInfoProto(name="a_map")
    mapping.type.map_type.key_type = TensorProto.INT64
    mapping.type.map_type.value_type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    opaque = onnx.ValueInfoProto(name="an_opaque")
    opaque.type.opaque_type.domain = "test.custom"
    opaque.type.opaque_type.name = "Thing"
    optional = helper.make_value_info("an_optional", helper.make_optional_type_proto(tensor.type))
    sparse = helper.make_sparse_tensor_value_info("a_sparse_value", TensorProto.FLOAT, [5])
    return tensor, [mapping, opaque, optional, sparse]


def special_function():
    reference = onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    leaky = helper.make_node("LeakyRelu", ["a"], ["b"], name="leaky")
    leaky.attribute.append(reference)
    copy = helper.make_node("Identity", ["c"], ["d"])
    function = helper.make_function(
        "test.custom", "Special", ["a", "unused", "c"], ["b", "e", "d"], [leaky, copy, helper.make_node("Neg", ["c"], ["e"])],
        [helper.make_opsetid("", 25)], attributes=["needed"], attribute_protos=[helper.make_attribute("slope", 0.25)],
        doc_string="doc of Special",
        overload="second", value_info=[helper.make_tensor_value_info("b", TensorProto.FLOAT, ["n"])],
    )
    function.metadata_props.extend(props(written="by hand"))
    return function


def training_info():
    info = onnx.TrainingInfoProto()
    info.initialization.CopyFrom(body("initialization", "w"))
    info.algorithm.CopyFrom(body("algorithm", "w"))
    info.initialization_binding.extend(props(w="initialization_y"))
    info.update_binding.extend(props(w="algorithm_y"))
    return info


def write_every_field():
    tensor, others = value_types()
    graph = onnx.GraphProto(name="main", doc_string="doc of main")
    graph.node.extend(every_node())
    graph.initializer.extend([small_tensor("w", [1.0, -1.0, 2.0]), raw_tensor("default", "int64", -5)])
    graph.sparse_initializer.append(sparse_tensor("w_sparse"))
    graph.input.extend([tensor, helper.make_tensor_value_info("default", TensorProto.INT64, [])])
    graph.output.extend([onnx.ValueInfoProto(name="y"), helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, None)])
    graph.value_info.extend(others)
    annotation = graph.quantization_annotation.add(tensor_name="x")
    annotation.quant_parameter_tensor_names.extend(props(SCALE_TENSOR="w"))
    graph.metadata_props.extend(props(graph="yes"))
    model = onnx.ModelProto(
        ir_version=13, producer_name="make_fixtures", producer_version="1", domain="test.model", model_version=-(2**40),
        doc_string="doc of the model ✓", graph=graph,
    )
    model.opset_import.extend([helper.make_opsetid("", 25), helper.make_opsetid("test.custom", 1)])
    model.metadata_props.extend(props(author="someone", empty=""))
    model.training_info.append(training_info())
    model.functions.append(special_function())
    model.configuration.append(onnx.DeviceConfigurationProto(name="two devices", num_devices=2, device=["CPU", "GPU"]))
    with open(out("every-field.onnx"), "wb") as file:
        file.write(model.SerializeToString(deterministic=True))


VALUES = {
    "FLOAT": [0.0, -0.0, 1e-45, 3.5, float("inf"), float("-inf")],
    "DOUBLE": [0.1, -1e300, 5e-324],
    "FLOAT16": [0.0, -0.0, 6e-8, 65504.0, float("-inf")],
    "BFLOAT16": [0.0, 1e-40, -3.0, float("inf")],
    "INT8": [-128, 127, 0],
    "UINT8": [0, 255, 3],
    "INT16": [-(2**15), 2**15 - 1],
    "UINT16": [0, 2**16 - 1],
    "INT32": [-(2**31), 2**31 - 1, 0],
    "UINT32": [0, 2**32 - 1],
    "INT64": [-(2**63), 2**63 - 1, 0],
    "UINT64": [0, 2**64 - 1],
    "BOOL": [True, False, True],
    "COMPLEX64": [1 + 2j, -0.5j],
    "COMPLEX128": [0.1 + 0.2j, 1e300 - 1j],
    "FLOAT8E4M3FN": [0.0, 1.0, -448.0],
    "FLOAT8E4M3FNUZ": [0.0, 1.0, -240.0],
    "FLOAT8E5M2": [0.0, 1.0, -57344.0],
    "FLOAT8E5M2FNUZ": [0.0, 1.0, -57344.0],
    "FLOAT8E8M0": [0.5, 1.0, 2.0],
    "UINT4": [0, 15, 7],
    "INT4": [-8, 7, -1],
    "FLOAT4E2M1": [0.5, -6.0, 1.0],
    "UINT2": [0, 3, 1, 2, 3],
    "INT2": [-2, 1, -1, 0, 1],
}


def write_tensors():
    tensors, expected = [], {}
    for kind, values in VALUES.items():
        number = getattr(TensorProto, kind)
        array = np.array(values, dtype="uint64" if kind == "UINT64" else None).astype(helper.tensor_dtype_to_np_dtype(number))
        typed = helper.make_tensor(f"typed_{kind}", number, [1, len(values)], array.flatten())
        assert not typed.HasField("raw_data")
        raw = numpy_helper.from_array(array.reshape(1, -1), f"raw_{kind}")
        assert raw.HasField("raw_data") and raw.data_type == number
        tensors += [typed, raw]
        expected[kind] = {"number": number, "dims": [1, len(values)], "hex": raw.raw_data.hex()}
    tensors.append(helper.make_tensor("typed_STRING", TensorProto.STRING, [2], ["", "grün ✓"]))
    tensors.append(helper.make_tensor("empty_FLOAT", TensorProto.FLOAT, [2, 0], []))
    node = helper.make_node("Identity", ["typed_FLOAT"], ["y"])
    graph = helper.make_graph([node], "tensors", [], [onnx.ValueInfoProto(name="y")], tensors)
    model = helper.make_model(graph, ir_version=13, opset_imports=[helper.make_opsetid("", 25)])
    with open(out("tensors.onnx"), "wb") as file:
        file.write(model.SerializeToString(deterministic=True))
    with open(out("tensors.json"), "w") as file:
        rows = [f"  {json.dumps(kind)}: {json.dumps(row)}" for kind, row in expected.items()]
        file.write("{\n" + ",\n".join(rows) + "\n}\n")


write_fields()
write_every_field()
write_tensors()
