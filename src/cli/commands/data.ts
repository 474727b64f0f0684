// addernet data: which data sets there are, and fetching one.

import { AdderNetError } from "../../core/errors.ts";
import { defineCommand, type Outcome } from "../command.ts";
import type { Context } from "../context.ts";
import { cacheFolder, dataFolderFlag, dataSetFolder, isFetched } from "../data-sets/cache.ts";
import { type DataSetName, dataSets } from "../data-sets/catalogue.ts";
import { fetchDataSet } from "../data-sets/fetch.ts";
import { isDataSetName } from "../data-sets/open.ts";
import { nearest } from "../nearest.ts";
import { textTable } from "../text-table.ts";

function entry(name: DataSetName, cache: string) {
  const { summary, licence, source, megabytes } = dataSets[name];
  return {
    name,
    summary,
    licence,
    package: `${source.package} ${source.version} (${source.kind})`,
    megabytes,
    fetched: isFetched(name, cache),
    folder: dataSetFolder(name, cache),
  };
}

function list(cache: string): Outcome {
  const sets = (Object.keys(dataSets) as DataSetName[]).map((name) => entry(name, cache));
  const rows = sets.map(({ name, summary, megabytes, fetched, licence }) => [
    name,
    summary,
    `${megabytes} MB`,
    fetched ? "fetched" : "-",
    `licence: ${licence}`,
  ]);
  return { text: `${textTable(rows)}\n\ncache: ${cache}`, json: { schemaVersion: 1, cache, sets } };
}

async function fetchOne(name: string | undefined, cache: string, context: Context): Promise<Outcome> {
  if (name === undefined || !isDataSetName(name)) {
    const known = Object.keys(dataSets);
    const near = name && nearest(name, known);
    throw new AdderNetError(
      "ADN_USAGE",
      name ? `there is no data set "${name}"` : "the data set's name is missing",
      {
        expected: known.join(", "),
        ...(near && { fix: `did you mean ${near}?` }),
      },
    );
  }
  context.progress(`fetching ${name}, ${dataSets[name].megabytes} MB`, 0, 1);
  const { folder, fetched } = await fetchDataSet(name, cache);
  return {
    text: fetched ? `fetched ${name} into ${folder}` : `${name} is already in ${folder}`,
    json: { schemaVersion: 1, cache, sets: [{ ...entry(name, cache), folder }] },
  };
}

export const dataCommand = defineCommand({
  name: "data",
  summary: "Lists data sets, or fetches one by its package's exact name and version.",
  positionals: [
    { name: "ACTION", help: "list or fetch" },
    { name: "NAME", help: "the data set to fetch", optional: true },
  ],
  flags: { ...dataFolderFlag },
  examples: ["addernet data list", "addernet data fetch mnist"],
  run: async ({ positionals, flags }, context) => {
    const [action, name] = positionals;
    const cache = cacheFolder(context.env, flags.dir);
    if (action === "list" && name === undefined) return list(cache);
    if (action === "fetch") return fetchOne(name, cache, context);
    throw new AdderNetError("ADN_USAGE", `data does not know "${positionals.join(" ")}"`, {
      expected: "addernet data list, or addernet data fetch NAME",
    });
  },
});
