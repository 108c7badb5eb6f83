/** A port: a handle that mouse, touch, a click and Enter start and end a link at. */

import { Handle, Position } from "@xyflow/react";
import { memo, type KeyboardEvent } from "react";

import type { Port } from "../api/types";
import { endLink, focusBeside, focusFitting, startLink } from "../editing/linking";
import { endKey, type PortEnd } from "../editing/linkRules";
import { hueOf } from "../shared/colors";
import { useStore } from "../state/store";
import { focusPort } from "./flowAccess";

interface Props {
  end: PortEnd;
  port: Port | null;
  isBound: boolean;
  hasFault: boolean;
}

export const PortHandle = memo(function PortHandle({ end, port, isBound, hasFault }: Props) {
  const fit = useStore((state) => {
    if (state.linking === null) return "none";
    if (endKey(state.linking.from) === endKey(end)) return "start";
    return state.linking.problems[endKey(end)] === null ? "yes" : "no";
  });
  const holds = port?.directory_type ?? port?.type ?? "unknown type";
  const isInput = end.side === "input";
  return (
    <Handle
      type={isInput ? "target" : "source"}
      position={isInput ? Position.Left : Position.Right}
      id={end.port}
      role="button"
      tabIndex={0}
      className={`port hue-${hueOf(holds)}`}
      data-fit={fit}
      data-bound={isBound}
      data-fault={hasFault}
      title={`${end.port}: ${holds}${port?.optional === true ? ", optional" : ""}${port?.description ? `\n${port.description}` : ""}`}
      aria-label={`${isInput ? "Input" : "Output"} ${end.port} of ${end.node}, ${holds}${isBound ? ", linked" : ""}${hasFault ? ", has a problem" : ""}`}
      onClick={() => startOrEnd(end)}
      onKeyDown={(event) => onKey(event, end)}
    />
  );
});

const STEPS: Record<string, 1 | -1> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

function startOrEnd(end: PortEnd): void {
  if (useStore.getState().linking === null) startLink(end, false);
  else endLink(end);
}

/** Enter starts a link and goes to a port that fits; arrow keys go to the others; Enter makes it and goes back. */
function onKey(event: KeyboardEvent, end: PortEnd): void {
  const { linking } = useStore.getState();
  const step = STEPS[event.key];
  if (event.key === "Enter" || event.key === " ") {
    startOrEnd(end);
    if (linking === null) focusFitting(end, 0);
    else focusPort(linking.from);
  } else if (step !== undefined) (linking === null ? focusBeside : focusFitting)(end, step);
  else return;
  event.preventDefault();
  event.stopPropagation();
}
