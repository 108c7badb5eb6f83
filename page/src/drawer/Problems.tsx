/** All faults of the document; a click goes to the node and port, or to the line. */

import type { Fault } from "../api/types";
import { focusCard } from "../canvas/flowAccess";
import { Icon } from "../shared/Icon";
import { useStore } from "../state/store";

export function Problems() {
  const faults = useStore((state) => state.document?.faults ?? NONE);
  if (faults.length === 0) return <p className="quiet">No problem is known. The pipeline can run.</p>;
  return (
    <ul className="problems">
      {inOrder(faults).map((fault) => (
        <li key={faultKey(fault)}>
          <button type="button" className="plain problem" onClick={() => goTo(fault)}>
            <span className={fault.severity === "error" ? "bad" : "warn"}>
              <Icon name="error" />
              <span className="hidden-text">{fault.severity}: </span>
            </span>
            <span className="grow">
              <span>{fault.message}</span> {fault.advice !== "" && <span className="quiet">{fault.advice}</span>}
            </span>
            <span className="quiet small problem-place">
              {[fault.node, fault.port].filter((part) => part !== null).join(".") || "pipeline"}, line {fault.line}
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

const NONE: Fault[] = [];

/** Errors first. */
export function inOrder(faults: Fault[]): Fault[] {
  return [...faults].sort((a, b) => Number(b.severity === "error") - Number(a.severity === "error"));
}

export const faultKey = (fault: Fault): string =>
  `${fault.line} ${fault.column} ${fault.rule} ${fault.node ?? ""} ${fault.message}`;

function goTo(fault: Fault): void {
  const { select, openDrawer, openSidePanel, setTextLine } = useStore.getState();
  if (fault.node === null) {
    setTextLine(fault.line);
    openDrawer("text");
    return;
  }
  select([fault.node]);
  openSidePanel("details");
  focusCard(fault.node);
}
