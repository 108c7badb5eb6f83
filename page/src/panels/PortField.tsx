/** An input port of a node in the pane: what it holds, and a choice of everything that fits it. */

import type { Binding, Document, Fault, Node, Port } from "../api/types";
import { addInputFor } from "../editing/adding";
import { connectedNodes, inputNodeId, isParameterType, portsProblem, sourceOf, type PortEnd } from "../editing/linkRules";
import { makeLink } from "../editing/linking";
import { useStore } from "../state/store";
import { SelectField, TextField } from "./fields";

/** What the values of the choice begin with that are folders. */
const FOLDER = "folder:";

interface Props {
  node: Node;
  port: Port;
  document: Document;
  faults: Fault[];
}

export function PortField({ node, port, document, faults }: Props) {
  const binding = node.inputs[port.name];
  const end: PortEnd = { node: node.name, port: port.name, side: "input" };
  const sources = fittingSources(document, end, port);
  const folders = useStore((state) => state.dataFolders);
  const now = valueOf(binding);
  const options = [
    { value: "", label: port.optional ? "Not linked (optional)" : "Not linked" },
    ...sources.map((source) => ({
      value: keyOf(source),
      label: shown(source),
      group: source.node === inputNodeId(source.port) ? "Pipeline inputs" : "Outputs of nodes",
    })),
    ...folders.map((path) => ({ value: `${FOLDER}${path}`, label: path, group: "Folders of data" })),
    { value: "path", label: "A path" },
    { value: "new", label: "New pipeline input" },
    ...(now !== "" && now !== "path" && !sources.some((source) => keyOf(source) === now)
      ? [{ value: now, label: binding?.kind === "expression" ? binding.text : now.replace("\n", ".") }]
      : []),
  ];
  const setPath = (path: string, type: string): void =>
    void useStore
      .getState()
      .edit(`Path of ${node.name}.${port.name}`, [{ op: "set_data", node: node.name, port: port.name, path, type }]);
  const onChange = (choice: string): void => {
    const { edit } = useStore.getState();
    const source = sources.find((each) => keyOf(each) === choice);
    if (source !== undefined) makeLink(source, end);
    else if (choice === "new") addInputFor(end);
    else if (choice === "path") setPath(".", port.type);
    else if (choice.startsWith(FOLDER)) setPath(choice.slice(FOLDER.length), port.type);
    else if (choice === "" && binding !== undefined) {
      const at = { node: node.name, port: port.name };
      const isData = binding.kind === "data";
      void edit(`Disconnect ${node.name}.${port.name}`, [
        isData ? { op: "set_value", ...at, value: null } : { op: "disconnect", ...at },
      ]);
    }
  };
  return (
    <div className="port-field">
      <SelectField
        label={port.name}
        value={now}
        options={options}
        isDisabled={document.read_only !== null}
        onChange={onChange}
        help={
          <>
            {binding?.kind === "data" && (
              <TextField
                label={`Path of ${port.name}`}
                isLabelHidden
                value={binding.path}
                isWrittenWhileTyping={false}
                suggestions={folders}
                onWrite={(path) => setPath(path, binding.type)}
              />
            )}
            {faults.map((fault) => (
              <p key={fault.message} className={`small ${fault.severity === "error" ? "bad" : "warn"}`}>
                {fault.message}
              </p>
            ))}
            <p className="quiet small">
              <span className="holds">{port.directory_type ?? port.type}</span> {port.description}
            </p>
          </>
        }
      />
    </div>
  );
}

/** Every output and pipeline input to which the port can be linked. */
export function fittingSources(document: Document, end: PortEnd, port: Port): PortEnd[] {
  const later = connectedNodes(document, end.node, "after");
  const inputs = document.inputs
    .filter((input) => !isParameterType(input.type) && portsProblem({ ...input, directory_type: null }, port) === null)
    .map(({ name }): PortEnd => ({ node: inputNodeId(name), port: name, side: "output" }));
  const outputs = document.nodes
    .filter(({ name }) => !later.has(name))
    .flatMap((node) =>
      (node.component?.outputs ?? [])
        .filter((output) => portsProblem(output, port) === null)
        .map(({ name }): PortEnd => ({ node: node.name, port: name, side: "output" })),
    );
  return [...inputs, ...outputs];
}

const keyOf = ({ node, port }: PortEnd): string => `${node}\n${port}`;

function shown(end: PortEnd): string {
  const source = sourceOf(end);
  return "input" in source ? source.input : `${source.node}.${source.port}`;
}

function valueOf(binding: Binding | undefined): string {
  if (binding === undefined) return "";
  if (binding.kind === "node") return `${binding.node}\n${binding.port}`;
  if (binding.kind === "pipeline") return `${inputNodeId(binding.name)}\n${binding.name}`;
  return binding.kind === "data" ? "path" : "expression";
}
