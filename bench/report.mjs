// The report as plain data: what was measured, by Node, thread count and network, over one run of the bench or several.

import { isDeepStrictEqual } from "node:util";
import { networks } from "./networks.mjs";

/** A new report; it goes on from an earlier one of the same machine that was as thorough. */
export function startReport({ machine, load, quick, sizes }, earlier) {
  const isSame = earlier?.quick === quick && isDeepStrictEqual(earlier.machine, machine);
  return {
    made: new Date().toISOString(),
    machine,
    load,
    quick,
    sizes,
    results: isSame ? earlier.results : [],
  };
}

/** The report's part for one Node with one thread count. */
export function startPass({ results }, { node, v8, threads, kernels }) {
  const known = results.find((pass) => pass.node === node && pass.threads === threads);
  if (known !== undefined) return Object.assign(known, { v8, kernels });
  const pass = { node, v8, threads, kernels, networks: [], failures: [] };
  results.push(pass);
  return pass;
}

function forget(pass, network) {
  for (const list of ["networks", "failures"])
    pass[list] = pass[list].filter((one) => one.network !== network);
}

const order = Object.keys(networks);

export function addNetwork(pass, measured) {
  forget(pass, measured.network);
  pass.networks.push(measured);
  pass.networks.sort((a, b) => order.indexOf(a.network) - order.indexOf(b.network));
}

export function addFailure(pass, network, reason) {
  forget(pass, network);
  pass.failures.push({ network, reason });
}
