/** A parameter of a node: its value, or the pipeline input that gives it; checked as it is typed. */

import { api, RequestError } from "../api/client";
import type { Binding, Document, Edit, Fault, Literal, Node, Parameter } from "../api/types";
import { isParameterType, typesFit } from "../editing/linkRules";
import { factsOf, typedValue } from "../editing/values";
import { freeName } from "../shared/words";
import { useStore } from "../state/store";
import { SelectField, TextField } from "./fields";

interface Props {
  node: Node;
  parameter: Parameter;
  document: Document;
  faults: Fault[];
}

export function ParameterField({ node, parameter, document, faults }: Props) {
  const binding = node.inputs[parameter.name];
  const isDisabled = document.read_only !== null;
  const write = (text: string): void => writeValue(node, parameter, typedValue(parameter, text).value);
  const value = binding?.kind === "value" ? binding.value : null;
  // What the field itself says about its text is not told twice.
  const isSaid = value !== null && typedValue(parameter, text(value)).problem !== null;
  const help = (
    <>
      {!isSaid &&
        faults.map((fault) => (
        <p key={fault.message} className={`small ${fault.severity === "error" ? "bad" : "warn"}`}>
          {fault.message}
        </p>
      ))}
      <p className="quiet small">
        {parameter.description} <span className="facts">{factsOf(parameter)}.</span>
      </p>
    </>
  );
  const source = <SourceSelect node={node} parameter={parameter} document={document} binding={binding} />;
  if (binding?.kind === "pipeline" || binding?.kind === "node" || binding?.kind === "expression") {
    return (
      <div className="field">
        <div className="field-head">
          <span className="grow label">{parameter.name}</span>
          {source}
        </div>
        <p className="bound">{boundTo(binding, document)}</p>
        {help}
      </div>
    );
  }
  const choices = parameter.type === "boolean" ? ["true", "false"] : parameter.choices;
  if (choices !== null) {
    const shown = parameter.default === null ? "Not set" : `Default: ${parameter.default}`;
    const others = value !== null && !choices.includes(text(value)) ? [text(value)] : [];
    return (
      <div className="field">
        <div className="field-head">
          <span className="grow label" aria-hidden="true">
            {parameter.name}
          </span>
          {source}
        </div>
        <SelectField
          label={parameter.name}
          isLabelHidden
          isDisabled={isDisabled}
          value={value === null ? "" : text(value)}
          options={[
            { value: "", label: shown },
            ...[...choices, ...others].map((choice) => ({ value: choice, label: choice })),
          ]}
          onChange={write}
          help={help}
        />
      </div>
    );
  }
  return (
    <TextField
      label={parameter.name}
      value={value === null ? "" : text(value)}
      placeholder={parameter.default === null ? "" : `${parameter.default}`}
      isDisabled={isDisabled}
      isLong={typeof value === "string" && value.includes("\n")}
      inputMode={parameter.type === "integer" ? "numeric" : parameter.type === "number" ? "decimal" : "text"}
      problemOf={(content) => typedValue(parameter, content).problem}
      checkWith={(content) => checked(node.name, parameter.name, typedValue(parameter, content).value)}
      keepsProblems
      onWrite={write}
      help={help}
      beside={source}
    />
  );
}

const text = (value: Literal): string => String(value);

function writeValue(node: Node, parameter: Parameter, value: Literal | null): void {
  const label = value === null ? `Reset ${parameter.name} of ${node.name}` : `Set ${parameter.name} of ${node.name}`;
  void useStore.getState().edit(label, [{ op: "set_value", node: node.name, port: parameter.name, value }]);
}

async function checked(node: string, port: string, value: Literal | null): Promise<string | null> {
  const { path } = useStore.getState();
  if (path === null) return null;
  try {
    return (await api.check(path, node, port, value)).message;
  } catch (error) {
    if (error instanceof RequestError) return null; // the edit that follows tells it
    throw error;
  }
}

function boundTo(binding: Binding, document: Document): string {
  if (binding.kind === "expression") return binding.text;
  if (binding.kind === "node") return `${binding.node}.${binding.port}`;
  if (binding.kind !== "pipeline") return "";
  const value = document.inputs.find(({ name }) => name === binding.name)?.value;
  return `Pipeline input ${binding.name}${value == null ? "" : `, now ${value}`}`;
}

/** Where a value comes from: written here, or given by a pipeline input. */
function SourceSelect({ node, parameter, document, binding }: Omit<Props, "faults"> & { binding: Binding | undefined }) {
  const fitting = document.inputs.filter(({ type }) => isParameterType(type) && typesFit(type, parameter.type));
  const now = binding?.kind === "pipeline" ? `input:${binding.name}` : binding?.kind === "value" || binding === undefined ? "" : "other";
  const options = [
    { value: "", label: "Value" },
    ...fitting.map(({ name }) => ({ value: `input:${name}`, label: name, group: "Pipeline inputs" })),
    { value: "new", label: "New pipeline input", group: "Pipeline inputs" },
    ...(now === "other" ? [{ value: "other", label: "Expression" }] : []),
    ...(now !== "" && now !== "other" && !fitting.some(({ name }) => `input:${name}` === now)
      ? [{ value: now, label: now.slice("input:".length), group: "Pipeline inputs" }]
      : []),
  ];
  return (
    <SelectField
      label={`Source of ${parameter.name}`}
      isLabelHidden
      className="source-select"
      isDisabled={document.read_only !== null}
      value={now}
      options={options}
      onChange={(choice) => {
        const edits = sourceEdits(choice, node, parameter, document, binding);
        if (edits.length > 0) void useStore.getState().edit(`Source of ${parameter.name} of ${node.name}`, edits);
      }}
    />
  );
}

export function sourceEdits(
  choice: string,
  node: Node,
  parameter: Parameter,
  document: Document,
  binding: Binding | undefined,
): Edit[] {
  const at = { node: node.name, port: parameter.name };
  if (choice === "") {
    const given = binding?.kind === "pipeline" ? document.inputs.find(({ name }) => name === binding.name)?.value : null;
    return [{ op: "set_value", ...at, value: given ?? null }];
  }
  if (choice === "new") {
    const name = freeName(parameter.name, document.inputs.map((input) => input.name));
    const value = binding?.kind === "value" ? binding.value : parameter.default;
    return [{ op: "add_input", name, type: parameter.type, ...(value === null ? {} : { value }), connect: at }];
  }
  return choice.startsWith("input:") ? [{ op: "connect", ...at, from: { input: choice.slice("input:".length) }, replaces: true }] : [];
}
