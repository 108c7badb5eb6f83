/** Zoom, fit and arrange, in a corner of the canvas. */

import { Panel, useStore as useFlow } from "@xyflow/react";

import { Icon, type IconName } from "../shared/Icon";
import { useStore } from "../state/store";
import { arrangeAll } from "../editing/editingCommands";
import { fitAll, zoomBy } from "./flowAccess";

export function CanvasTools() {
  const zoom = useFlow((flow) => Math.round(flow.transform[2] * 100));
  return (
    <Panel position="bottom-left" className="canvas-tools">
      <Tool name="minus" label="Zoom out" perform={() => zoomBy(-1)} />
      <span className="zoom" aria-hidden="true">
        {zoom} %
      </span>
      <Tool name="add" label="Zoom in" perform={() => zoomBy(1)} />
      <Tool name="fit" label="Show all" perform={() => fitAll()} />
      <Tool name="arrange" label="Arrange all cards" perform={() => arrangeAll(useStore.getState())} />
    </Panel>
  );
}

function Tool({ name, label, perform }: { name: IconName; label: string; perform: () => void }) {
  return (
    <button type="button" className="icon" aria-label={label} title={label} onClick={perform}>
      <Icon name={name} />
    </button>
  );
}
