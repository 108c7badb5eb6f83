/** The pane of one pipeline input; the pane of the pipeline has one for each. */

import { inputNodeId, isParameterType } from "../editing/linkRules";
import type { Literal, PipelineInput } from "../api/types";
import { Icon } from "../shared/Icon";
import { asName, freeName, nameProblem } from "../shared/words";
import { useStore } from "../state/store";
import { TextField } from "./fields";
import { typedValue } from "../editing/values";

export function InputPane({ input }: { input: PipelineInput }) {
  return (
    <div className="pane-section stack">
      <h2>Pipeline input</h2>
      <InputFields input={input} />
    </div>
  );
}

export function InputFields({ input }: { input: PipelineInput }) {
  const document = useStore((state) => state.document);
  const folders = useStore((state) => state.dataFolders);
  if (document === null) return null;
  const isDisabled = document.read_only !== null;
  const names = document.inputs.map(({ name }) => name).filter((name) => name !== input.name);
  const { edit, select, selected } = useStore.getState();
  const set = (what: string, change: { value?: Literal | null; path?: string; description?: string }): void =>
    void edit(`${what} of input ${input.name}`, [{ op: "set_input", name: input.name, ...change }]);
  const rename = (text: string): void => {
    const to = nameProblem(text, names) === null ? text : freeName(asName(text), names);
    void edit(`Rename input ${input.name} to ${to}`, [{ op: "rename_input", name: input.name, to }]);
    if (selected.includes(inputNodeId(input.name))) select([inputNodeId(to)]);
  };
  return (
    <div className="stack input-fields" role="group" aria-label={`Input ${input.name}`}>
      <div className="row top">
        <TextField
          label={`Name of input ${input.name}`}
          isLabelHidden
          className="grow"
          value={input.name}
          isWrittenWhileTyping={false}
          isDisabled={isDisabled}
          problemOf={(text) => (text === input.name ? null : nameProblem(text, names))}
          onWrite={rename}
        />
        <span className="holds">{input.type}</span>
        <button
          type="button"
          className="icon"
          aria-label={`Remove input ${input.name}`}
          title="Remove"
          disabled={isDisabled}
          onClick={() => void edit(`Remove input ${input.name}`, [{ op: "remove_input", name: input.name }])}
        >
          <Icon name="trash" />
        </button>
      </div>
      {isParameterType(input.type) ? (
        <ParameterValue input={input} isDisabled={isDisabled} onWrite={(value) => set("Value", { value })} />
      ) : (
        <TextField
          label={`Path of input ${input.name}`}
          isLabelHidden
          placeholder="Path: a folder or a file"
          suggestions={folders}
          value={input.path ?? ""}
          isWrittenWhileTyping={false}
          isDisabled={isDisabled}
          onWrite={(path) => set("Path", { path })}
        />
      )}
      <TextField
        label={`Description of input ${input.name}`}
        isLabelHidden
        placeholder="Description"
        value={input.description}
        isDisabled={isDisabled}
        onWrite={(description) => set("Description", { description })}
      />
    </div>
  );
}

interface ValueProps { input: PipelineInput; isDisabled: boolean; onWrite: (value: Literal | null) => void }

function ParameterValue({ input, isDisabled, onWrite }: ValueProps) {
  const parameter = {
    name: input.name,
    type: input.type as "string",
    default: null,
    minimum: null,
    maximum: null,
    choices: null,
    optional: true,
    description: "",
  };
  return (
    <TextField
      label={`Value of input ${input.name}`}
      isLabelHidden
      placeholder="Value, given with each run if empty"
      value={input.value === null ? "" : String(input.value)}
      isDisabled={isDisabled}
      problemOf={(text) => typedValue(parameter, text).problem}
      onWrite={(text) => onWrite(typedValue(parameter, text).value)}
    />
  );
}
