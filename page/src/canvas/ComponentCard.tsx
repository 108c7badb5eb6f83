/** The card of a node: name and component, ports, the parameters that are set, and what a run does with it. */

import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import { useShallow } from "zustand/react/shallow";

import { DISABLED, type Fault, type Node, type Port } from "../api/types";
import { NodeRunState } from "../runs/NodeRunState";
import { StateIcon } from "../runs/StateIcon";
import { hueOf } from "../shared/colors";
import { Icon } from "../shared/Icon";
import { plural } from "../shared/words";
import { useStore } from "../state/store";
import { parameterSummary, type Ports } from "./cardGeometry";
import type { ComponentCard as Card } from "./flowNodes";
import { PortHandle } from "./PortHandle";

const NO_FAULTS: Fault[] = [];
const WORDS: Record<string, string> = { command: "Command", parallel: "Parallel job", sweep: "Sweep", automl: "AutoML", spark: "Spark job" };
const KINDS: Record<string, string> = { pipeline: "Pipeline", sweep: "Sweep", parallel: "Parallel", if_else: "Condition", do_while: "Loop" };

export const ComponentCard = memo(function ComponentCard({ data, selected }: NodeProps<Card>) {
  const { node, ports } = data;
  const faults = useFaults(node.name);
  const kind = node.component?.kind ?? node.kind;
  const isInline = node.component?.reference === "" && node.component.display_name === node.name;
  const title = isInline ? `${WORDS[kind] ?? kind} in this node` : (node.component?.display_name ?? node.reference);
  const change = useChange(node);
  return (
    <div className="card" data-selected={selected} data-left-out={node.left_out !== ""} data-fault={faults.some(({ severity }) => severity === "error")}>
      <div className={`card-head hue-${hueOf(node.component?.category ?? "")}`}>
        <div className="grow">
          <div className="card-name cut">{node.name}</div>
          <div className="card-component row tight">
            {KINDS[node.kind] !== undefined && <span className="badge">{KINDS[node.kind]}</span>}
            <span className="cut">{title || node.kind}</span>
          </div>
        </div>
        {change !== null && (
          <span className="badge warn" title={change}>
            updated
          </span>
        )}
        {node.comment !== "" && (
          <span className="comment-mark" title={node.comment}>
            <span className="hidden-text">Comment: {node.comment}</span>
          </span>
        )}
        <FaultMark faults={faults} />
        <MenuButton name={node.name} />
      </div>
      <div className="card-ports">
        {ports.inputs.map((name) => (
          <PortRow key={`in ${name}`} node={node} name={name} side="input" faults={faults} />
        ))}
        {ports.outputs.map((name) => (
          <PortRow key={`out ${name}`} node={node} name={name} side="output" faults={faults} />
        ))}
      </div>
      <Summary node={node} ports={ports} />
      <div className="card-state">
        {node.left_out === "" ? <NodeRunState node={node.name} /> : <LeftOut reason={node.left_out} />}
      </div>
    </div>
  );
});

/** What stands in place of a state: no run on this machine has one for the node. */
function LeftOut({ reason }: { reason: string }) {
  const text = reason === DISABLED ? "disabled" : `left out: ${reason}`;
  return (
    <div className="run-strip" title={text}>
      <StateIcon state="skipped" />
      <span className="run-strip-text">{text}</span>
    </div>
  );
}

function PortRow({ node, name, side, faults }: { node: Node; name: string; side: "input" | "output"; faults: Fault[] }) {
  const ports = side === "input" ? node.component?.inputs : node.component?.outputs;
  const port: Port | null = ports?.find((each) => each.name === name) ?? null;
  const binding = node.inputs[name];
  const isBound = side === "input" ? binding !== undefined : node.outputs[name] !== undefined;
  return (
    <div className={`port-row ${side}`}>
      <PortHandle
        end={{ node: node.name, port: name, side }}
        port={port}
        isBound={isBound}
        hasFault={faults.some((fault) => fault.port === name)}
      />
      <span className="cut">
        {name}
        {side === "input" && port?.optional === true && binding === undefined && <span className="quiet"> optional</span>}
        {side === "input" && binding?.kind === "data" && <span className="quiet"> {binding.path}</span>}
        {side === "output" && isBound && <span className="quiet"> → output</span>}
      </span>
    </div>
  );
}

function Summary({ node, ports }: { node: Node; ports: Ports }) {
  const summary = parameterSummary(node, ports);
  if (summary === "") return null;
  return (
    <div className="card-summary cut" title={summary}>
      {summary}
    </div>
  );
}

function FaultMark({ faults }: { faults: Fault[] }) {
  if (faults.length === 0) return null;
  const isError = faults.some(({ severity }) => severity === "error");
  return (
    <span className={`fault-mark ${isError ? "bad" : "warn"}`} title={faults.map(({ message }) => message).join("\n")}>
      <Icon name="error" />
      <span className="hidden-text">{plural(faults.length, "problem")}</span>
    </span>
  );
}

function MenuButton({ name }: { name: string }) {
  return (
    <button
      type="button"
      className="icon card-menu nodrag"
      aria-label={`Menu of ${name}`}
      aria-haspopup="menu"
      onClick={(event) => {
        const { select, openMenu } = useStore.getState();
        const box = event.currentTarget.getBoundingClientRect();
        select([name]);
        openMenu({ x: box.left, y: box.bottom });
        event.stopPropagation();
      }}
    >
      <Icon name="more" />
    </button>
  );
}

/** Faults of a node; the same list as long as they are the same. */
export function useFaults(name: string): Fault[] {
  return useStore(useShallow((state) => state.document?.faults.filter((fault) => fault.node === name) ?? NO_FAULTS));
}

/** What is new in the component of a node, in words: the palette has another version than the one that was loaded. */
function useChange(node: Node): string | null {
  return useStore((state) => state.updates[node.reference] ?? null);
}
