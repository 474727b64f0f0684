"""AdderNet's layer for PyTorch: Y = -sum|X - W|, with AdderNet's training rule and a clean way to ONNX.

`Adder2d` trains like the published layer and loads its checkpoints; `export_onnx` writes it as one node,
`addernet::Adder2d`, with the TorchScript exporter (torch 1.13 and later) or the dynamo exporter (torch 2.8 and later).
"""

import importlib.util
import inspect
import math
import warnings

import torch
from torch import nn
from torch.nn import functional as F

DOMAIN, VERSION = "addernet", 1
_SLAB_ELEMENTS = 1 << 18  # size of the one temporary of forward and backward; a megabyte stays in cache


def _pair(value):
    return (int(value), int(value)) if isinstance(value, int) else tuple(int(v) for v in value)


class Geometry:
    """Where the taps of a layer lie: kernel, strides, padding, dilations (each height, width) and the group count."""

    def __init__(self, kernel, strides, padding, dilations, group):
        self.kernel, self.strides = _pair(kernel), _pair(strides)
        self.padding, self.dilations, self.group = _pair(padding), _pair(dilations), int(group)

    def output_size(self, size):
        """Height and width of the output for an input of this height and width."""
        return tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(size, self.kernel, self.strides, self.padding, self.dilations)
        )

    def rows(self, x):
        """The inputs under every output position: [N,C,H,W] -> [group, N*OH*OW, C/group*KH*KW]."""
        columns = F.unfold(x, self.kernel, self.dilations, self.padding, self.strides)
        n, taps, positions = (int(d) for d in columns.shape)
        columns = columns.view(n, self.group, taps // self.group, positions)
        return columns.permute(1, 0, 3, 2).reshape(self.group, n * positions, taps // self.group)

    def scatter_rows(self, rows, shape):
        """Adjoint of `rows`: adds every row back to where it was read from, giving `shape`."""
        group, total, taps = rows.shape
        columns = rows.view(group, shape[0], total // shape[0], taps).permute(1, 0, 3, 2)
        columns = columns.reshape(shape[0], group * taps, total // shape[0])
        return F.fold(columns, shape[2:], self.kernel, self.dilations, self.padding, self.strides)

    def onnx_attributes(self):
        """Conv's attribute names."""
        return {
            "dilations": list(self.dilations),
            "group": self.group,
            "kernel_shape": list(self.kernel),
            "pads": [*self.padding, *self.padding],
            "strides": list(self.strides),
        }


def _rows_per_slab(weight):
    return max(1, _SLAB_ELEMENTS // weight.numel())


def _distances(rows, weight):
    """Sum of |row - weight| for each pair: [M,K], [O,K] -> [M,O]."""
    slabs = rows.split(_rows_per_slab(weight))
    return torch.cat([(slab.unsqueeze(1) - weight).abs().sum(2) for slab in slabs])


def _input_gradient(rows, weight, grad):
    """dX = sum over outputs of clamp(W - X, -1, 1) * g: [M,K], [O,K], [M,O] -> [M,K]."""
    count = _rows_per_slab(weight)
    parts = []
    for slab, g in zip(rows.split(count), grad.split(count)):
        clipped = (weight - slab.unsqueeze(1)).clamp_(-1, 1)
        parts.append(torch.bmm(g.unsqueeze(1), clipped).squeeze(1))
    return torch.cat(parts)


def _weight_gradient(rows, weight, grad):
    """dW = sum over positions of (X - W) * g, which is one matrix product: [O,K]."""
    return grad.t() @ rows - grad.sum(0).unsqueeze(1) * weight


def adaptive_rate(gradient):
    """AdderNet's layer-wise rate: the gradient at the length sqrt(number of weights) / 5."""
    return gradient * (math.sqrt(gradient.numel()) / 5 / gradient.norm().clamp(min=1e-12))


def _negative_distances(x, weight, bias, geometry):
    """The layer, -sum|X - W| + bias, without a gradient: [N,O,OH,OW]."""
    group, outputs = geometry.group, int(weight.shape[0])
    filters = weight.reshape(group, outputs // group, -1)
    sums = [_distances(rows, kernel) for rows, kernel in zip(geometry.rows(x), filters)]
    height, width = geometry.output_size([int(n) for n in x.shape[2:]])
    y = -torch.cat(sums, 1).view(int(x.shape[0]), height, width, outputs).permute(0, 3, 1, 2).contiguous()
    return y if bias is None else y + bias.view(1, -1, 1, 1)


class AdderFunction(torch.autograd.Function):
    """Forward and the surrogate gradients of AdderNet; in a TorchScript export, one `addernet::Adder2d` node."""

    @staticmethod
    def forward(ctx, x, weight, bias, geometry):
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        with warnings.catch_warnings():
            if torch.onnx.is_in_onnx_export():  # `symbolic` stands for all of this, whatever the tracer sees
                warnings.simplefilter("ignore", torch.jit.TracerWarning)
            return _negative_distances(x, weight, bias, geometry)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        geometry, needs = ctx.geometry, ctx.needs_input_grad
        grads = grad.permute(0, 2, 3, 1).reshape(-1, weight.shape[0]).chunk(geometry.group, 1)
        filters = weight.reshape(geometry.group, weight.shape[0] // geometry.group, -1)
        layers = list(zip(geometry.rows(x), filters, grads))
        dx = dw = db = None
        if needs[0]:
            dx = geometry.scatter_rows(torch.stack([_input_gradient(*layer) for layer in layers]), x.shape)
        if needs[1]:
            dw = adaptive_rate(torch.cat([_weight_gradient(*layer) for layer in layers]).view_as(weight))
        if needs[2]:
            db = grad.sum((0, 2, 3))
        return dx, dw, db, None

    @staticmethod
    def symbolic(g, x, weight, bias, geometry):
        inputs = [x, weight] if bias is None or bias.node().mustBeNone() else [x, weight, bias]
        attributes = {f"{name}_i": value for name, value in geometry.onnx_attributes().items()}
        y = g.op(f"{DOMAIN}::Adder2d", *inputs, **attributes)
        return y.setType(_output_type(x, weight, geometry))


def _output_type(x, weight, geometry):
    """The node's result type, so that what follows in a TorchScript export knows its shape."""
    sizes = x.type().varyingSizes() or [None] * 4
    spatial = [None, None] if None in sizes[2:] else list(geometry.output_size(sizes[2:]))
    return x.type().with_sizes([sizes[0], weight.type().sizes()[0], *spatial])


def _in_dynamo_export():
    return hasattr(torch.onnx, "ops") and torch.onnx.is_in_onnx_export() and not torch.jit.is_tracing()


def _onnx_node(x, weight, bias, geometry):
    """One `addernet::Adder2d` node in a dynamo export."""
    inputs = (x, weight) if bias is None else (x, weight, bias)
    shape = (x.shape[0], weight.shape[0], *geometry.output_size(x.shape[2:]))
    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::Adder2d", inputs, geometry.onnx_attributes(), dtype=x.dtype, shape=shape, version=VERSION
    )


def adder2d_forward(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Y[n,o,y,x] = -sum |X - W| + bias[o]. x [N,C,H,W], weight [O,C/groups,KH,KW]; zero padding counts as |0 - W|."""
    return _apply(x, weight, bias, Geometry(tuple(weight.shape[2:]), stride, padding, dilation, groups))


def _apply(x, weight, bias, geometry):
    if _in_dynamo_export():
        return _onnx_node(x, weight, bias, geometry)
    return AdderFunction.apply(x, weight, bias, geometry)


class Adder2d(nn.Module):
    """The adder layer, in place of nn.Conv2d. Parameters `adder` [O,C/groups,KH,KW] and, with bias, `b` [O], as published.

    kernel_size, stride, padding and dilation are an int or a pair (height, width).
    """

    def __init__(
        self, input_channel, output_channel, kernel_size, stride=1, padding=0, bias=False, dilation=1, groups=1
    ):
        super().__init__()
        if input_channel % groups or output_channel % groups:
            raise ValueError(f"groups={groups} must divide {input_channel} input and {output_channel} output channels")
        self.input_channel, self.output_channel, self.groups = input_channel, output_channel, groups
        self.kernel_size, self.stride = _pair(kernel_size), _pair(stride)
        self.padding, self.dilation = _pair(padding), _pair(dilation)
        self.adder = nn.Parameter(torch.randn(output_channel, input_channel // groups, *self.kernel_size))
        self.bias = bool(bias)
        self.b = nn.Parameter(torch.rand(output_channel)) if bias else None

    def forward(self, x):
        geometry = Geometry(self.kernel_size, self.stride, self.padding, self.dilation, self.groups)
        return _apply(x, self.adder, self.b, geometry)

    def extra_repr(self):
        text = f"{self.input_channel}, {self.output_channel}, kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{text}, padding={self.padding}, dilation={self.dilation}, groups={self.groups}, bias={self.bias}"


adder2d = Adder2d  # the name the published code uses


def _dynamo_ready():
    return hasattr(torch.onnx, "ops") and importlib.util.find_spec("onnxscript") is not None


def _names(count, stem):
    return [stem] if count == 1 else [f"{stem}{i}" for i in range(count)]


def _count_outputs(model, inputs):
    with torch.no_grad():
        outputs = model(*inputs)
    return len(outputs) if isinstance(outputs, (tuple, list)) else 1


def export_onnx(model, example, path, dynamic_batch=True, dynamo=None, opset=None):
    """Write `model` to the ONNX file `path`, every Adder2d as one `addernet::Adder2d` node.

    example: one input tensor, or a tuple of them, batch first. Inputs are named `input` (or input0, input1, ...), outputs alike.
    dynamic_batch: leave the first dimension of every input and output open.
    dynamo: which of torch's exporters; None takes dynamo where torch (2.8 or later) and onnxscript offer it.
    opset: ONNX version; None takes 13 for TorchScript and 20 for dynamo.
    """
    if dynamo is None:
        dynamo = _dynamo_ready()
    elif dynamo and not _dynamo_ready():
        raise RuntimeError("the dynamo exporter needs torch 2.8 or later and onnxscript; pass dynamo=False")
    inputs = tuple(example) if isinstance(example, (tuple, list)) else (example,)
    training = model.training
    model.eval()
    try:
        outputs = _names(_count_outputs(model, inputs), "output")
        write = _export_dynamo if dynamo else _export_torchscript
        write(model, inputs, path, _names(len(inputs), "input"), outputs, dynamic_batch, opset)
    finally:
        model.train(training)


def _export_torchscript(model, inputs, path, input_names, output_names, dynamic_batch, opset):
    options = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    if dynamic_batch:
        options["dynamic_axes"] = {name: {0: "batch"} for name in (*input_names, *output_names)}
    torch.onnx.export(
        model,
        inputs,
        path,
        input_names=input_names,
        output_names=output_names,
        opset_version=opset or 13,
        custom_opsets={DOMAIN: VERSION},
        **options,
    )


def _export_dynamo(model, inputs, path, input_names, output_names, dynamic_batch, opset):
    options = {}
    if dynamic_batch:
        inputs = tuple(torch.cat([x, x]) if x.shape[0] == 1 else x for x in inputs)  # a batch of 1 would be taken as fixed
        options["dynamic_shapes"] = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    torch.onnx.export(
        model,
        inputs,
        path,
        input_names=input_names,
        output_names=output_names,
        opset_version=opset or 20,
        dynamo=True,
        external_data=False,
        verbose=False,
        **options,
    )
