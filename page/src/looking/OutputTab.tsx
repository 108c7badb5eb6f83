/** Data of a node: previews of what goes in and what came out. */

import { useState } from "react";

import { api } from "../api/client";
import type { Binding, Document, Preview } from "../api/types";
import { useStore } from "../state/store";
import { NodeChoice } from "./NodeChoice";
import type { PageOf } from "./Pages";
import { PreviewPane } from "./PreviewPane";
import { useLookedAt } from "./useLookedAt";

interface Place {
  id: string;
  label: string;
  note: string;
  read: (page: PageOf) => Promise<Preview>;
}

export function OutputTab() {
  const { node } = useLookedAt();
  const run = useStore((state) => state.run);
  const selected = useStore((state) => state.selected[0] ?? null);
  const document = useStore((state) => state.document);
  const [chosen, setChosen] = useState("");
  const runNode = node !== null && run?.nodes[node] !== undefined ? node : null;
  const shown = selected?.startsWith("input:") ? selected : (runNode ?? selected);
  if (shown === null) return <p className="look-empty">Select a node to look at its data.</p>;
  const outputs = runNode === shown && run !== null ? outputPlaces(run.run, runNode, run.nodes[runNode]!.outputs) : [];
  const inputs = document === null ? [] : inputPlaces(document, shown, run);
  const places = [...outputs, ...inputs];
  const place = places.find(({ id }) => id === chosen) ?? places[0];
  return (
    <div className="look-tab">
      <div className="look-bar">
        {runNode === shown ? <NodeChoice /> : <b>{shown.replace(/^input:/, "")}</b>}
      </div>
      {place === undefined ? (
        <p className="look-empty">
          {run === null ? "There is nothing to look at before the pipeline has run." : `${shown} has no data to look at yet.`}
        </p>
      ) : (
        <div className="look-sides">
          <div className="look-places" role="radiogroup" aria-label="Ports">
            {places.map((each) => (
              <label key={each.id} className="look-place" data-chosen={each.id === place.id}>
                <input type="radio" name="place" checked={each.id === place.id} onChange={() => setChosen(each.id)} />
                <span>
                  {each.label.replaceAll("_", "_\u200b")}
                  <small>{each.note}</small>
                </span>
              </label>
            ))}
          </div>
          <div className="look-scroll" tabIndex={0} role="region" aria-label={`Preview of ${place.label}`}>
            <PreviewPane key={`${run?.run ?? ""} ${shown} ${place.id}`} read={place.read} />
          </div>
        </div>
      )}
    </div>
  );
}

function outputPlaces(run: string, node: string, ports: readonly string[]): Place[] {
  return ports.map((port) => ({
    id: `output ${port}`,
    label: port,
    note: "output",
    read: (page) => api.output(run, node, port, page),
  }));
}

/** Data that goes into a node: a path of the document, or the output of a node that has run. */
function inputPlaces(document: Document, name: string, run: { run: string; nodes: Record<string, { outputs: string[] }> } | null): Place[] {
  const input = name.startsWith("input:") ? document.inputs.find((each) => each.name === name.slice(6)) : undefined;
  if (input !== undefined) return input.path === null ? [] : [pathPlace(document, input.name, input.path)];
  const node = document.nodes.find((each) => each.name === name);
  return Object.entries(node?.inputs ?? {}).flatMap(([port, binding]) => boundPlace(document, port, binding, run));
}

function boundPlace(
  document: Document,
  port: string,
  binding: Binding,
  run: { run: string; nodes: Record<string, { outputs: string[] }> } | null,
): Place[] {
  if (binding.kind === "data") return [pathPlace(document, port, binding.path)];
  if (binding.kind === "pipeline") {
    const path = document.inputs.find(({ name }) => name === binding.name)?.path ?? null;
    return path === null ? [] : [pathPlace(document, port, path)];
  }
  if (binding.kind !== "node" || run === null || !run.nodes[binding.node]?.outputs.includes(binding.port)) return [];
  return [
    {
      id: `input ${port}`,
      label: port,
      note: `input, from ${binding.node}`,
      read: (page) => api.output(run.run, binding.node, binding.port, page),
    },
  ];
}

function pathPlace(document: Document, port: string, path: string): Place {
  const read = (page: PageOf): Promise<Preview> => api.preview(path, document.path, page);
  return { id: `input ${port}`, label: port, note: `input, ${path}`, read };
}
