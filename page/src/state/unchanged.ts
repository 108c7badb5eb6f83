/** What an answer of the server has not changed stays the same object, so that it is not drawn again. */

import type { Document, Fault } from "../api/types";

export function withUnchanged(before: Document | null, after: Document): Document {
  if (before === null || before.path !== after.path) return after;
  return {
    ...after,
    nodes: kept(before.nodes, after.nodes),
    inputs: kept(before.inputs, after.inputs),
    outputs: kept(before.outputs, after.outputs),
    faults: keptFaults(before.faults, after.faults),
  };
}

function kept<Item extends { name: string }>(before: Item[], after: Item[]): Item[] {
  const known = new Map(before.map((item) => [item.name, item]));
  return after.map((item) => {
    const old = known.get(item.name);
    return old !== undefined && isSame(old, item) ? old : item;
  });
}

function keptFaults(before: Fault[], after: Fault[]): Fault[] {
  const known = new Map(before.map((fault) => [JSON.stringify(fault), fault]));
  const faults = after.map((fault) => known.get(JSON.stringify(fault)) ?? fault);
  return faults.length === before.length && faults.every((fault, at) => fault === before[at]) ? before : faults;
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
