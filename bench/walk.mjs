// A model run node by node with our runtime, to look at every value on the way.

import { createExecutor } from "../dist/runtime/index.js";

const inputInfo = (name, { type, dims }) => ({ name, type: { kind: "tensor", elemType: type, shape: dims } });

/** The outputs of one node, given everything it reads that is not an initialiser. */
async function runNode(model, node, values) {
  const { initializers } = model.graph;
  const names = [...new Set(node.inputs.filter((name) => name !== "" && !initializers.has(name)))];
  const graph = {
    ...model.graph,
    inputs: names.map((name) => inputInfo(name, values.get(name))),
    outputs: node.outputs.filter((name) => name !== "").map((name) => ({ name })),
    nodes: [node],
    initializers: new Map([...initializers].filter(([name]) => node.inputs.includes(name))),
    valueInfo: new Map(),
  };
  const session = await createExecutor({ ...model, graph, functions: [] });
  const outputs = await session.run(Object.fromEntries(names.map((name) => [name, values.get(name)])));
  await session.dispose();
  return outputs;
}

/**
 * Runs the nodes in order. `before(node, values)` may change what the node will read of the model, `after(node, outputs)` sees
 * what it made. Values are dropped behind their last reader.
 */
export async function walkModel(model, feeds, { before = () => {}, after = () => {} }) {
  const values = new Map(Object.entries(feeds));
  const { nodes } = model.graph;
  const lastReader = new Map(nodes.flatMap((node, index) => node.inputs.map((name) => [name, index])));
  for (const [index, node] of nodes.entries()) {
    before(node, values);
    const outputs = await runNode(model, node, values);
    after(node, outputs);
    for (const [name, tensor] of Object.entries(outputs)) values.set(name, tensor);
    for (const name of node.inputs) if (lastReader.get(name) === index) values.delete(name);
  }
}
