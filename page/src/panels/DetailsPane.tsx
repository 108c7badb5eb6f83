/** The pane at the right: what is selected, or else the pipeline. */

import { useEffect } from "react";

import { afterDrawing, focusCanvas, reveal } from "../canvas/flowAccess";
import { inputName } from "../editing/linkRules";
import { plural } from "../shared/words";
import { selectedNodes } from "../state/selectionSlice";
import { useStore } from "../state/store";
import { InputPane } from "./InputPane";
import { NodePane } from "./NodePane";
import { PipelinePane } from "./PipelinePane";

export function DetailsPane() {
  return (
    <aside
      className="details panel"
      aria-label="Details"
      onKeyDown={(event) => event.key === "Escape" && !event.defaultPrevented && focusCanvas()}
    >
      <Content />
    </aside>
  );
}

function Content() {
  const selected = useStore((state) => state.selected);
  const document = useStore((state) => state.document);
  const [first] = selected;
  useEffect(() => {
    // The pane has taken some of the canvas; the card that was chosen is not to be hidden by that.
    if (first !== undefined && selected.length === 1) afterDrawing(() => reveal(first));
  }, [first, selected.length]);
  if (document === null) return null;
  const nodes = selectedNodes({ selected });
  const node = nodes.length === 1 ? document.nodes.find(({ name }) => name === nodes[0]) : undefined;
  const input = first === undefined ? undefined : document.inputs.find(({ name }) => name === inputName(first));
  if (nodes.length > 1) return <Several names={nodes} />;
  if (node !== undefined) return <NodePane key={node.name} node={node} />;
  if (input !== undefined && selected.length === 1) return <InputPane key={input.name} input={input} />;
  return <PipelinePane />;
}

function Several({ names }: { names: string[] }) {
  return (
    <div className="pane-section stack">
      <h2>{plural(names.length, "node")}</h2>
      <ul className="stack tight">
        {names.map((name) => (
          <li key={name}>
            <button type="button" className="plain" onClick={() => useStore.getState().select([name])}>
              {name}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
