"""Exports an existing AdderNet: its adder layers become `addernet::Adder2d` nodes.

python export.py mynet:resnet20 --checkpoint resnet20.pth --input 1,3,32,32 -o resnet20.onnx
"""

import argparse
import importlib
import importlib.util
import os
import pickle
import re
import sys

import torch
from torch import nn

from addernet_torch import Adder2d, export_onnx

CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model", "net")
NO_STATE_DICT = "the checkpoint holds no plain state dict; for a whole pickled module, write a factory that loads it"


def has(module):
    return importlib.util.find_spec(module) is not None


def load_factory(name):
    """`package.module:callable`, looked up from the working directory."""
    module, _, attribute = name.partition(":")
    if not attribute:
        raise SystemExit(f"expected module:factory, for example resnet20:resnet20; found {name}")
    sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise SystemExit(f"{name}: {error}") from error


def state_dict_of(content):
    """The state dict inside a checkpoint, without DataParallel's `module.`."""
    for key in CHECKPOINT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not all(torch.is_tensor(v) for v in content.values()):
        raise SystemExit(NO_STATE_DICT)
    if all(name.startswith("module.") for name in content):
        content = {name[len("module.") :]: tensor for name, tensor in content.items()}
    return content


def load_weights(model, checkpoint):
    """Fill `model` from a checkpoint file, which is never allowed to run code."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model.load_state_dict(state_dict_of(content))
    except pickle.UnpicklingError as error:
        raise SystemExit(f"{checkpoint}: {NO_STATE_DICT}") from error
    except (OSError, RuntimeError) as error:  # no such file; names or shapes that do not fit
        raise SystemExit(f"{checkpoint}: {error}") from error


def is_published_adder(module):
    """A layer with a 4-D `adder` parameter, whatever its class is called."""
    weight = module._parameters.get("adder")
    return weight is not None and weight.dim() == 4 and not isinstance(module, Adder2d)


def as_adder2d(layer):
    """An Adder2d with the weights, stride, padding, dilation and groups of `layer`."""
    weight = layer.adder
    groups = int(getattr(layer, "groups", 1))
    bias = layer._parameters.get("b")
    adder = Adder2d(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        getattr(layer, "stride", 1),
        getattr(layer, "padding", 0),
        bias is not None,
        getattr(layer, "dilation", 1),
        groups,
    )
    adder.adder, adder.b = weight, bias
    return adder


def replace_adders(model):
    """Swap every adder layer of `model` for an Adder2d, in place; returns their names."""
    replaced = []
    for name, module in list(model.named_modules()):
        for child_name, child in list(module.named_children()):
            if is_published_adder(child):
                setattr(module, child_name, as_adder2d(child))
                replaced.append(f"{name}.{child_name}".lstrip("."))
    return replaced


def build_model(factory, checkpoint):
    model = load_factory(factory)()
    if not isinstance(model, nn.Module):
        raise SystemExit(f"{factory} gave a {type(model).__name__}, not a torch.nn.Module")
    if checkpoint:
        load_weights(model, checkpoint)
    return model.eval()


def dims_of(text):
    if not re.fullmatch(r"[1-9][0-9]*(,[1-9][0-9]*)*", text):
        raise argparse.ArgumentTypeError(f"expected positive sizes such as 1,3,32,32; found {text}")
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="module:factory, a callable without arguments that gives the net")
    parser.add_argument("--checkpoint", help="state dict, or a training checkpoint that holds one")
    parser.add_argument("--input", required=True, type=dims_of, help="dims of one input, such as 1,3,32,32")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--exporter", choices=("torchscript", "dynamo"), help="default: dynamo where it is there")
    parser.add_argument("--opset", type=int)
    parser.add_argument("--static", action="store_true", help="fix the batch size to the one in --input")
    options = parser.parse_args()

    model = build_model(options.model, options.checkpoint)
    replaced = replace_adders(model)
    adders = [name for name, module in model.named_modules() if isinstance(module, Adder2d)]
    if not adders:
        raise SystemExit("no adder layer found: neither an Adder2d nor a module with a 4-D parameter called adder")
    dynamo = None if options.exporter is None else options.exporter == "dynamo"
    torch.manual_seed(0)
    export_onnx(model, torch.randn(options.input), options.output, not options.static, dynamo, options.opset)
    print(f"{options.output}: {len(adders)} adder layers, {len(replaced)} of them replaced by Adder2d")


if __name__ == "__main__":
    main()
