/** The pane of the pipeline itself: name, settings, inputs and outputs. */

import { useState } from "react";

import type { Document, PipelineKey, PipelineOutput } from "../api/types";
import { newPath } from "../editing/adding";
import { isParameterType } from "../editing/linkRules";
import { Icon } from "../shared/Icon";
import { asName, freeName, nameProblem } from "../shared/words";
import { useStore } from "../state/store";
import { SelectField, TextField } from "./fields";
import { InputFields } from "./InputPane";
import { Section } from "./Section";

const INPUT_TYPES = ["uri_folder", "uri_file", "mltable", "mlflow_model", "custom_model", "integer", "number", "string", "boolean"];

export function PipelinePane() {
  const document = useStore((state) => state.document);
  if (document === null) return null;
  const isDisabled = document.read_only !== null;
  const setting = (key: PipelineKey): string => String(document.settings[key] ?? "");
  return (
    <>
      <div className="pane-section stack">
        <h2>Pipeline</h2>
        {document.read_only !== null && (
          <p className="fault error" role="status">
            <Icon name="error" /> {document.read_only}
          </p>
        )}
        <Setting title="Display name" setting="display_name" value={setting("display_name")} isDisabled={isDisabled} />
        <Setting title="Description" setting="description" value={setting("description")} isDisabled={isDisabled} isLong />
      </div>
      <Section title="Inputs">
        {document.inputs.map((input) => (
          <InputFields key={input.name} input={input} />
        ))}
        <NewInput document={document} />
      </Section>
      <Section title="Outputs">
        {document.outputs.map((output) => (
          <OutputFields key={output.name} output={output} document={document} />
        ))}
        {document.outputs.length === 0 && (
          <p className="quiet small">Select a node to keep one of its outputs as a result of the pipeline.</p>
        )}
      </Section>
      <Section title="Run settings">
        <Setting title="Experiment name" setting="experiment_name" value={setting("experiment_name")} isDisabled={isDisabled} />
        <Setting title="Default compute" setting="settings.default_compute" value={setting("settings.default_compute")}
          isDisabled={isDisabled} />
        <Switch title="Run every node again" setting="settings.force_rerun" document={document} />
        <Switch title="Go on where a step fails" setting="settings.continue_on_step_failure" document={document} />
      </Section>
    </>
  );
}

interface SettingProps { title: string; setting: PipelineKey; value: string; isDisabled: boolean; isLong?: boolean }

function Setting({ title, setting, value, isDisabled, isLong = false }: SettingProps) {
  return (
    <TextField
      label={title}
      value={value}
      isLong={isLong}
      isDisabled={isDisabled}
      onWrite={(text) =>
        void useStore
          .getState()
          .edit(`Set ${title.toLowerCase()}`, [{ op: "set_pipeline", key: setting, value: text === "" ? null : text }])
      }
    />
  );
}

function Switch({ title, setting, document }: { title: string; setting: PipelineKey; document: Document }) {
  const isOn = document.settings[setting] === true || document.settings[setting] === "true";
  return (
    <label className="row switch">
      <input
        type="checkbox"
        checked={isOn}
        disabled={document.read_only !== null}
        onChange={() =>
          void useStore
            .getState()
            .edit(`Set ${title.toLowerCase()}`, [{ op: "set_pipeline", key: setting, value: isOn ? null : true }])
        }
      />
      {title}
    </label>
  );
}

function NewInput({ document }: { document: Document }) {
  const [name, setName] = useState("");
  const [type, setType] = useState("uri_folder");
  const problem = name === "" ? null : nameProblem(name, document.inputs.map((input) => input.name));
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (name === "" || problem !== null) return;
        void useStore.getState().edit(`Add input ${name}`, [
          isParameterType(type) ? { op: "add_input", name, type } : { op: "add_input", name, type, path: newPath(name) },
        ]);
        setName("");
      }}
    >
      <div className="row new-input">
        <input
          aria-label="Name of a new input"
          aria-invalid={problem !== null}
          placeholder="New input"
          value={name}
          disabled={document.read_only !== null}
          onChange={(event) => setName(event.target.value)}
        />
        <SelectField
          label="Type of the new input"
          isLabelHidden
          value={type}
          options={INPUT_TYPES.map((each) => ({ value: each, label: each }))}
          onChange={setType}
        />
        <button type="submit" disabled={name === "" || problem !== null}>
          Add
        </button>
      </div>
      {problem !== null && <p className="bad small">{problem}</p>}
    </form>
  );
}

function OutputFields({ output, document }: { output: PipelineOutput; document: Document }) {
  const isDisabled = document.read_only !== null;
  const names = document.outputs.map(({ name }) => name).filter((name) => name !== output.name);
  const { edit, select } = useStore.getState();
  const { source } = output;
  return (
    <div className="stack input-fields" role="group" aria-label={`Output ${output.name}`}>
      <div className="row top">
        <TextField
          label={`Name of output ${output.name}`}
          isLabelHidden
          className="grow"
          value={output.name}
          isWrittenWhileTyping={false}
          isDisabled={isDisabled}
          problemOf={(text) => (text === output.name ? null : nameProblem(text, names))}
          onWrite={(text) => {
            const to = nameProblem(text, names) === null ? text : freeName(asName(text), names);
            void edit(`Rename output ${output.name} to ${to}`, [{ op: "rename_output", name: output.name, to }]);
          }}
        />
        <button
          type="button"
          className="icon"
          aria-label={`Remove output ${output.name}`}
          title="Remove"
          disabled={isDisabled}
          onClick={() => void edit(`Remove output ${output.name}`, [{ op: "remove_output", name: output.name }])}
        >
          <Icon name="trash" />
        </button>
      </div>
      {source === null ? (
        <p className="small warn">No node writes it.</p>
      ) : (
        <button type="button" className="plain small from" onClick={() => select([source.node])}>
          from {source.node}.{source.port}
        </button>
      )}
    </div>
  );
}
