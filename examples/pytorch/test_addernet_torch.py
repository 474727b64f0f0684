"""Checks of addernet_torch and export against AdderNet's formulas written as loops. Run: python -m unittest"""

import contextlib
import io
import math
import os
import tempfile
import unittest

import torch
from torch import nn
from torch.nn import functional as F

import export
from addernet_torch import Adder2d, adder2d_forward, export_onnx

CASES = [
    # channels in, out, kernel, stride, padding, dilation, groups, height, width
    (3, 4, (3, 3), (1, 1), (1, 1), (1, 1), 1, 6, 5),
    (2, 3, (5, 5), (2, 1), (2, 0), (1, 1), 1, 7, 6),
    (4, 6, (1, 3), (1, 2), (0, 1), (1, 1), 2, 4, 7),
    (4, 4, (3, 3), (1, 1), (2, 2), (2, 2), 4, 5, 5),
    (5, 2, (1, 1), (2, 2), (0, 0), (1, 1), 1, 5, 4),
    (2, 2, (3, 3), (1, 1), (1, 1), (1, 1), 1, 1, 1),
]


def taps(x, weight, stride, padding, dilation, groups):
    """Yields (output index, weight index, x's padded row, column, channel) for every tap, from the definition."""
    outputs, inputs, kh, kw = weight.shape
    height = (x.shape[2] + 2 * padding[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    width = (x.shape[3] + 2 * padding[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    for o in range(outputs):
        for row in range(height):
            for column in range(width):
                for c in range(inputs):
                    for i in range(kh):
                        for j in range(kw):
                            place = (
                                o // (outputs // groups) * inputs + c,
                                row * stride[0] + i * dilation[0],
                                column * stride[1] + j * dilation[1],
                            )
                            yield (o, row, column), (o, c, i, j), place


def by_definition(x, weight, grad, stride, padding, dilation, groups):
    """Output, dX, dW (before the adaptive rate) by one loop over taps."""
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    y, dx, dw = torch.zeros_like(grad), torch.zeros_like(padded), torch.zeros_like(weight)
    for out, w, place in taps(x, weight, stride, padding, dilation, groups):
        difference = padded[(slice(None), *place)] - weight[w]
        g = grad[(slice(None), *out)]
        y[(slice(None), *out)] -= difference.abs()
        dw[w] += (difference * g).sum()
        dx[(slice(None), *place)] += (-difference).clamp(-1, 1) * g
    rows, columns = x.shape[2], x.shape[3]
    return y, dx[:, :, padding[0] : padding[0] + rows, padding[1] : padding[1] + columns], dw


class Layer(unittest.TestCase):
    def test_forward_and_gradients(self):
        for case in CASES:
            with self.subTest(case=case):
                cin, cout, kernel, stride, padding, dilation, groups, height, width = case
                torch.manual_seed(3)
                x = torch.randn(2, cin, height, width, dtype=torch.float64, requires_grad=True)
                weight = torch.randn(cout, cin // groups, *kernel, dtype=torch.float64, requires_grad=True)
                bias = torch.randn(cout, dtype=torch.float64, requires_grad=True)
                y = adder2d_forward(x, weight, bias, stride, padding, dilation, groups)
                grad = torch.randn_like(y)
                y.backward(grad)
                with torch.no_grad():
                    expected, dx, dw = by_definition(x, weight, grad, stride, padding, dilation, groups)
                    torch.testing.assert_close(y, expected + bias.view(1, -1, 1, 1))
                    torch.testing.assert_close(x.grad, dx)
                    torch.testing.assert_close(weight.grad, dw / dw.norm() * math.sqrt(dw.numel()) / 5)
                    torch.testing.assert_close(bias.grad, grad.sum((0, 2, 3)))

    def test_large_layers_go_in_slabs(self):
        x, weight = torch.randn(2, 16, 12, 12), torch.randn(32, 16, 3, 3)
        columns = F.unfold(x, 3, padding=1)
        expected = -(columns.unsqueeze(1) - weight.view(1, 32, -1, 1)).abs().sum(2).view(2, 32, 12, 12)
        torch.testing.assert_close(adder2d_forward(x, weight, padding=1), expected, atol=1e-4, rtol=1e-5)

    def test_zero_gradient_stays_zero(self):
        weight = torch.randn(2, 1, 1, 1, requires_grad=True)
        (adder2d_forward(torch.randn(1, 1, 2, 2), weight) * 0).sum().backward()
        self.assertEqual(weight.grad.abs().max().item(), 0)

    def test_groups_must_divide(self):
        with self.assertRaisesRegex(ValueError, "groups=2"):
            Adder2d(3, 4, 3, groups=2)

    def test_published_parameter_names(self):
        layer = Adder2d(4, 6, 3, bias=True)
        self.assertEqual({k: tuple(v.shape) for k, v in layer.state_dict().items()}, {"adder": (6, 4, 3, 3), "b": (6,)})


def small_net():
    first = Adder2d(3, 4, 3, padding=1)
    return nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), Adder2d(4, 6, (1, 3), (2, 1), (0, 1), True, groups=2))


@unittest.skipUnless(export.has("onnx"), "onnx is not installed")
class Exports(unittest.TestCase):
    def nodes_of(self, **options):
        import onnx

        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            path = os.path.join(folder, "net.onnx")
            export_onnx(small_net(), torch.randn(1, 3, 8, 8), path, **options)
            graph = onnx.load(path).graph
        weights = {i.name: list(i.dims) for i in graph.initializer}
        return [n for n in graph.node if n.domain == "addernet"], weights, graph

    def check(self, **options):
        import onnx

        nodes, weights, graph = self.nodes_of(**options)
        self.assertEqual([n.op_type for n in nodes], ["Adder2d", "Adder2d"])
        self.assertEqual([len(n.input) for n in nodes], [2, 3])
        self.assertEqual(nodes[0].input[1], "0.adder")
        self.assertEqual(weights["3.adder"], [6, 2, 1, 3])
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in nodes[1].attribute}
        expected = {"dilations": [1, 1], "group": 2, "kernel_shape": [1, 3], "pads": [0, 1, 0, 1], "strides": [2, 1]}
        self.assertEqual(attributes, expected)
        first = graph.input[0].type.tensor_type.shape.dim[0]
        self.assertEqual(bool(first.dim_param), options["dynamic_batch"])
        self.assertEqual([v.name for v in (*graph.input, *graph.output)], ["input", "output"])

    def test_torchscript(self):
        for dynamic_batch in (True, False):
            self.check(dynamo=False, dynamic_batch=dynamic_batch)

    @unittest.skipUnless(hasattr(torch.onnx, "ops") and export.has("onnxscript"), "needs torch 2.8 and onnxscript")
    def test_dynamo(self):
        for dynamic_batch in (True, False):
            self.check(dynamo=True, dynamic_batch=dynamic_batch)


class Published(nn.Module):
    """A layer as user code has it: other class, same parameter names, geometry in attributes."""

    def __init__(self, cin, cout, kernel, stride=1, padding=0, bias=False):
        super().__init__()
        self.stride, self.padding, self.bias = stride, padding, bias
        self.adder = nn.Parameter(torch.randn(cout, cin, kernel, kernel))
        if bias:
            self.b = nn.Parameter(torch.randn(cout))

    def forward(self, x):
        size = (x.shape[2] + 2 * self.padding - self.adder.shape[2]) // self.stride + 1
        columns = F.unfold(x, self.adder.shape[2], stride=self.stride, padding=self.padding).unsqueeze(1)
        y = -(columns - self.adder.flatten(1)[None, :, :, None]).abs().sum(2).view(len(x), -1, size, size)
        return y + self.b.view(1, -1, 1, 1) if self.bias else y


class Replacing(unittest.TestCase):
    def test_same_outputs_and_weights(self):
        net = nn.Sequential(Published(3, 4, 3, 2, 1, True), nn.ReLU(), nn.Sequential(Published(4, 5, 1)))
        x = torch.randn(2, 3, 6, 6)
        expected, state = net(x), {k: v.clone() for k, v in net.state_dict().items()}
        self.assertEqual(export.replace_adders(net), ["0", "2.0"])
        torch.testing.assert_close(net(x), expected)
        self.assertEqual(list(net.state_dict()), list(state))

    def test_checkpoint_wrappers(self):
        weights = {"0.adder": torch.zeros(1)}
        for content in (weights, {"state_dict": weights}, {"module.0.adder": weights["0.adder"]}):
            self.assertEqual(export.state_dict_of(content), weights)


if __name__ == "__main__":
    unittest.main()
