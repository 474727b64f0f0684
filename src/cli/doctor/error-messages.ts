// Messages people meet between PyTorch and a running AdderNet: what each means and how to mend it.

export interface KnownMessage {
  readonly name: string;
  /** Tried in order; the first match wins. */
  readonly pattern: RegExp;
  readonly meaning: string;
  readonly fix: string;
  /** Code that mends it. */
  readonly snippet?: string;
}

const plainSum = `# instead of  -torch.cdist(W_col, X_col.t(), p=1)
difference = W_col.unsqueeze(2) - X_col.unsqueeze(0)   # [O, K, L]
output = -difference.abs().sum(1)                      # [O, L]`;

const symbolic = `class AdderFunction(torch.autograd.Function):
    @staticmethod
    def symbolic(g, x, weight, stride, padding):
        return g.op("addernet::Adder2d", x, weight, strides_i=[stride] * 2, pads_i=[padding] * 4)

    @staticmethod
    def forward(ctx, x, weight, stride, padding):
        ...  # as it is`;

const translation = `torch.onnx.export(model, (x,), "net.onnx", dynamo=True,
                  custom_translation_table={torch.ops.mylib.adder2d.default: translate})
# where translate(x, weight, ...) builds the node with onnxscript`;

const register = `import * as ort from "onnxruntime-node";
import { adderNetEp, registerAdderNet } from "addernet/ort";
registerAdderNet(ort);
const session = await ort.InferenceSession.create(path, { executionProviders: [adderNetEp()] });`;

export const knownMessages: readonly KnownMessage[] = [
  {
    name: "0-d tensors in unfold",
    pattern: /iteration over a 0-d tensor/i,
    meaning:
      "while tracing, W.size() gives tensors instead of numbers, and they reach torch.nn.functional.unfold",
    fix: "turn the sizes into numbers before they are used",
    snippet: `n_filters, d_filter, h_filter, w_filter = (int(length) for length in W.size())
# or, where unfold is called:
X_col = torch.nn.functional.unfold(x, int(h_filter), dilation=1, padding=padding, stride=stride)`,
  },
  {
    name: "cdist in the dynamo exporter",
    pattern: /No ONNX function found[^\n]*cdist|_cdist_forward/i,
    meaning: "PyTorch's dynamo exporter has no translation for torch.cdist",
    fix: "write the distance out; do not fall back to the older exporter, which writes a graph without the absolute value",
    snippet: plainSum,
  },
  {
    name: "an op without translation",
    pattern: /No ONNX function found/i,
    meaning: "the dynamo exporter met a custom op and was not told how to write it",
    fix: "pass a translation for it, or write the layer in plain tensor operations",
    snippet: translation,
  },
  {
    name: "a Function that cannot be exported",
    pattern: /Couldn'?t export Python operator/i,
    meaning:
      "the layer is an autograd Function without a symbolic, and this exporter does not look inside it",
    fix: "give it a symbolic; or export with torch >= 1.13 in the default mode (operator_export_type ONNX, autograd_inlining left on), which writes out what the Function does",
    snippet: symbolic,
  },
  {
    name: "an in-place write inside a Function",
    pattern: /passed to at\(\) was not in the map/i,
    meaning: "the Function's forward changes a tensor in place, and the exporter loses track of it",
    fix: "write to a new tensor instead",
    snippet: `# instead of  out[:, i] = value   or  out += value
out = torch.stack(columns, dim=1)
out = out + value`,
  },
  {
    name: "shapes computed inside a Function",
    pattern: /is_prim\(\)|kind\(\)\.is_prim/i,
    meaning:
      "in fall-through mode the Function's forward computes with x.shape, which leaves a primitive node in the graph",
    fix: "compute with numbers, or give the Function a symbolic",
    snippet: "height, width = int(x.shape[2]), int(x.shape[3])",
  },
  {
    name: "a Python operator in the file",
    pattern:
      /PythonOp\b[^\n]*is not a registered function\/op|is not a registered function\/op[^\n]*PythonOp/i,
    meaning: "the file holds the layer as a call back into Python, which no engine can make",
    fix: "convert the file: the layer is recognised by what stands around it",
    snippet: "npx addernet convert net.onnx -o net.adder.onnx",
  },
  {
    name: "an op that is not registered",
    pattern: /is not a registered function\/op|No Op registered for/i,
    meaning: "onnxruntime does not know an op of the file",
    fix: "convert the file, which puts a body in standard ops beside every adder; or register our kernels",
    snippet: `npx addernet convert net.onnx -o net.adder.onnx\n\n${register}`,
  },
  {
    name: "a domain that is not imported",
    pattern: /No opset import for domain/i,
    meaning: "the file uses an op of a domain that it does not list",
    fix: "convert the file; what is written lists every domain it uses",
    snippet: "npx addernet convert net.onnx -o net.adder.onnx",
  },
  {
    name: "external data that is not found",
    pattern:
      /\.onnx[._]data\b|external data|MountedFiles is not available|escapes working directory|ADN_EXTERNAL_DATA/i,
    meaning:
      "the weights are in a second file (net.onnx.data), and the one who loads the model does not find it",
    fix: "keep both files in one folder under the names they were written with, or write one file",
    snippet: `torch.onnx.export(model, (x,), "net.onnx", dynamo=True, external_data=False)
# or join them afterwards:
# npx addernet convert net.onnx -o net.adder.onnx`,
  },
  {
    name: "unfold needs opset 11",
    pattern: /im2col[^\n]*opset version (9|10) is not supported/i,
    meaning: "torch.nn.functional.unfold cannot be written in ONNX before opset 11",
    fix: "ask for a newer opset",
    snippet: 'torch.onnx.export(model, (x,), "net.onnx", opset_version=17)',
  },
  {
    name: "an opset the exporter does not write",
    pattern: /Unsupported ONNX opset version|opset_version[^\n]*not supported/i,
    meaning: "this exporter of PyTorch ends at an older opset (17 in torch 1.13)",
    fix: "ask for opset 17, or use the dynamo exporter of torch >= 2.5",
    snippet: 'torch.onnx.export(model, (x,), "net.onnx", opset_version=17)',
  },
  {
    name: "a newer ONNX file than the engine reads",
    pattern: /Unsupported model IR version/i,
    meaning: "the file was written for a newer onnxruntime",
    fix: "export with a lower opset, or update onnxruntime",
    snippet: 'torch.onnx.export(model, (x,), "net.onnx", opset_version=17)',
  },
  {
    name: "memory of the written-out layer",
    pattern: /CUDA out of memory|can'?t allocate memory|bad_alloc|Failed to allocate memory/i,
    meaning:
      "written out in plain tensor operations, an adder layer makes a difference tensor of filters x taps x positions",
    fix: "convert the export: the kernels need no such tensor. For the export itself, trace with batch 1",
    snippet: "npx addernet convert net.onnx -o net.adder.onnx",
  },
];

export function recogniseMessage(text: string): KnownMessage | undefined {
  return knownMessages.find(({ pattern }) => pattern.test(text));
}
