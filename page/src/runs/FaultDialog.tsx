/** Faults on demand: what is to go wrong in a node, to see what the pipeline and its reader are told. */

import { useState } from "react";

import { useStore } from "../state/store";
import { FAULT_KINDS, type FaultKind, faultProblem, faultText } from "./faults";
import { RunDialogFrame } from "./RunDialogFrame";

export function FaultDialog({ node }: { node: string }) {
  const outputs = useStore(
    (state) => state.document?.nodes.find((other) => other.name === node)?.component?.outputs ?? NO_PORTS,
  );
  const startRun = useStore((state) => state.startRun);
  const close = useStore((state) => state.openRunDialog);
  const kinds = FAULT_KINDS.filter((kind) => !kind.hasOutput || outputs.length > 0);
  const [name, setName] = useState(kinds[0]!.name);
  const [values, setValues] = useState<Record<string, string>>({});
  const [output, setOutput] = useState(outputs[0]?.name ?? "");
  const kind = kinds.find((other) => other.name === name)!;
  const value = values[name] ?? kind.field?.initial ?? "";
  const problem = faultProblem(kind, value);
  const start = (): void => {
    if (problem !== null) return;
    close(null);
    void startRun({ from: [node] }, { [node]: [faultText(kind, value, output)] });
  };
  return (
    <RunDialogFrame title={`Run ${node} with a fault`} onSubmit={start}>
      <p className="quiet">The node and all that need it run; this once, {node} meets the fault. No file is changed.</p>
      <fieldset className="run-faults">
        <legend>What goes wrong</legend>
        {kinds.map((each) => (
          <FaultChoice key={each.name} kind={each} isChosen={each.name === name} onChoose={() => setName(each.name)} />
        ))}
      </fieldset>
      <div className="run-fields">
        {kind.hasOutput && (
          <label>
            Output
            <select value={output} onChange={(event) => setOutput(event.target.value)}>
              {outputs.map((port) => (
                <option key={port.name}>{port.name}</option>
              ))}
            </select>
          </label>
        )}
        {kind.field !== null && (
          <label>
            {kind.field.label}
            <input
              value={value}
              aria-invalid={problem !== null}
              aria-describedby="run-fault-problem"
              onChange={(event) => setValues({ ...values, [name]: event.target.value })}
            />
            <small>{kind.field.unit}</small>
          </label>
        )}
        <p id="run-fault-problem" className="run-problem" role="status">
          {problem}
        </p>
      </div>
      <footer>
        <code>--fault {faultText(kind, value, output)}</code>
        <button type="submit" className="primary" aria-disabled={problem !== null}>
          Run with this fault
        </button>
      </footer>
    </RunDialogFrame>
  );
}

const NO_PORTS: { name: string }[] = [];

function FaultChoice({ kind, isChosen, onChoose }: { kind: FaultKind; isChosen: boolean; onChoose: () => void }) {
  return (
    <label className="run-choice" data-chosen={isChosen}>
      <input type="radio" name="fault" checked={isChosen} onChange={onChoose} />
      <span>
        <b>{kind.title}</b>
        <small>{kind.description}</small>
      </span>
    </label>
  );
}
