/** Forecast of a run: what each node would do, told before the click. */

import type { ForecastNode } from "../api/types";
import type { Tone } from "./states";
import { clockText, counted } from "./wording";

export type NodeForecasts = Record<string, ForecastNode>;

export interface ForecastText {
  /** What is shown on the node. */
  short: string;
  /** The whole of it, for the tooltip and the drawer. */
  long: string;
  tone: Tone;
}

/** The forecast of a node of the canvas; null where it would not run. */
export function forecastOfNode(forecast: NodeForecasts | null, name: string): ForecastNode | null {
  if (!forecast) return null;
  const own = forecast[name];
  if (own) return own;
  const inner = Object.entries(forecast).filter(([other]) => other.startsWith(`${name}.`));
  if (inner.length === 0) return null;
  const runs = inner.find(([, node]) => node.state === "runs") ?? inner.find(([, node]) => node.state === "depends");
  if (!runs) return inner[0]![1];
  const [inside, node] = runs;
  return { ...node, reason: `${inside.slice(name.length + 1)}: ${node.reason}` };
}

export function forecastText(node: ForecastNode, now?: number): ForecastText {
  if (node.state === "reused") {
    const from = node.reused_from ? `, from ${clockText(node.reused_from, now)}` : "";
    return { short: `reused${from}`, long: `Would be reused${from}: nothing that it needs has changed.`, tone: "good" };
  }
  const reason = asArrow(node.reason);
  if (node.state === "depends") {
    return { short: reason || "depends on other nodes", long: `May run: ${reason}.`, tone: "quiet" };
  }
  return { short: reason ? `runs: ${reason}` : "runs", long: `Would run: ${reason || "it was asked for"}.`, tone: "busy" };
}

/** One sentence for the run bar: "2 nodes run, 5 are reused". */
export function forecastSummary(forecast: NodeForecasts): string {
  const states = Object.values(forecast).map((node) => node.state);
  const count = (state: string) => states.filter((other) => other === state).length;
  const [runs, depends, reused] = [count("runs"), count("depends"), count("reused")];
  if (states.length === 0) return "no node would run";
  if (reused === states.length) return "nothing has changed: all reused";
  const parts = [
    runs > 0 ? `${counted(runs, "node")} ${runs === 1 ? "runs" : "run"}` : "",
    depends > 0 ? `${depends} ${depends === 1 ? "depends" : "depend"} on ${runs === 1 ? "it" : "them"}` : "",
    reused > 0 ? `${reused} reused` : "",
  ];
  return parts.filter(Boolean).join(", ");
}

function asArrow(reason: string): string {
  return reason.replaceAll(" -> ", " → ");
}
