/** The pane of a node: name, faults, parameters, ports, run settings, comment. */

import type { Document, Fault, Node, PipelineOutput, Port } from "../api/types";
import { useFaults } from "../canvas/ComponentCard";
import { focusCard } from "../canvas/flowAccess";
import { addOutputFor } from "../editing/adding";
import { hueOf } from "../shared/colors";
import { Icon } from "../shared/Icon";
import { asName, freeName, nameProblem } from "../shared/words";
import { useStore } from "../state/store";
import { TextField } from "./fields";
import { ParameterField } from "./ParameterField";
import { PortField } from "./PortField";
import { RunSettings } from "./RunSettings";
import { Section } from "./Section";

export function NodePane({ node }: { node: Node }) {
  const document = useStore((state) => state.document);
  const faults = useFaults(node.name);
  if (document === null) return null;
  const { component } = node;
  const ofPort = (name: string): Fault[] => faults.filter((fault) => fault.port === name);
  const shownPorts = new Set([...(component?.inputs ?? []), ...(component?.parameters ?? [])].map(({ name }) => name));
  const others = faults.filter((fault) => fault.port === null || !shownPorts.has(fault.port));
  return (
    <>
      <Head node={node} document={document} />
      {others.length > 0 && <FaultList faults={others} />}
      {component === null && <Unreadable node={node} />}
      {component !== null && component.parameters.length > 0 && (
        <Section title="Parameters">
          {component.parameters.map((parameter) => (
            <ParameterField
              key={parameter.name}
              node={node}
              parameter={parameter}
              document={document}
              faults={ofPort(parameter.name)}
            />
          ))}
        </Section>
      )}
      {component !== null && component.inputs.length > 0 && (
        <Section title="Inputs">
          {component.inputs.map((port) => (
            <PortField key={port.name} node={node} port={port} document={document} faults={ofPort(port.name)} />
          ))}
        </Section>
      )}
      {component !== null && component.outputs.length > 0 && (
        <Section title="Outputs">
          {component.outputs.map((port) => (
            <Output key={port.name} node={node} port={port} document={document} />
          ))}
        </Section>
      )}
      <RunSettings node={node} isDisabled={document.read_only !== null} />
    </>
  );
}

function Head({ node, document }: { node: Node; document: Document }) {
  const { component } = node;
  const names = document.nodes.map(({ name }) => name).filter((name) => name !== node.name);
  const rename = (to: string): void => {
    const { edit, select } = useStore.getState();
    void edit(`Rename ${node.name} to ${to}`, [{ op: "rename_node", name: node.name, to }]);
    select([to]);
    // The field of a name belongs to the node of that name.
    if (window.document.activeElement?.id === "node-name") focusCard(to);
  };
  return (
    <div className={`pane-section pane-head hue-${hueOf(component?.category ?? "")}`}>
      <TextField
        id="node-name"
        label="Name"
        isLabelHidden
        className="title-field"
        value={node.name}
        isWrittenWhileTyping={false}
        isDisabled={document.read_only !== null}
        problemOf={(text) => (text === node.name ? null : nameProblem(text, names))}
        onWrite={(text) => rename(nameProblem(text, names) === null ? text : freeName(asName(text), names))}
      />
      <p className="row small">
        <span className="grow cut">{component?.display_name ?? node.reference}</span>
        <span className="quiet">{component === null ? node.kind : component.version === "" ? "" : `version ${component.version}`}</span>
      </p>
      {component !== null && component.description !== "" && <Description text={component.description} />}
    </div>
  );
}

const SHORT = 140;

function Description({ text }: { text: string }) {
  if (text.length <= SHORT) return <p className="quiet small">{text}</p>;
  const [first = text] = text.split(/(?<=[.:;]) /);
  return (
    <details className="description quiet small">
      <summary>{first.length < text.length ? first : `${text.slice(0, SHORT)}…`}</summary>
      <p>{first.length < text.length ? text.slice(first.length) : text}</p>
    </details>
  );
}

function FaultList({ faults }: { faults: Fault[] }) {
  return (
    <ul className="pane-section stack">
      {faults.map((fault) => (
        <li key={`${fault.line} ${fault.rule} ${fault.message}`} className={`fault ${fault.severity}`}>
          <Icon name="error" />
          <div>
            <p>{fault.message}</p>
            {fault.advice !== "" && <p className="quiet small">{fault.advice}</p>}
          </div>
        </li>
      ))}
    </ul>
  );
}

function Unreadable({ node }: { node: Node }) {
  return (
    <div className="pane-section stack">
      <p className="quiet">
        {node.kind === "command"
          ? `The component ${node.reference} cannot be read here, so its ports are unknown.`
          : "A node of this kind is set in the YAML."}
      </p>
      <button type="button" onClick={() => useStore.getState().openDrawer("text")}>
        Show the YAML, line {node.line}
      </button>
    </div>
  );
}

function Output({ node, port, document }: { node: Node; port: Port; document: Document }) {
  const output = document.outputs.find(({ source }) => source?.node === node.name && source.port === port.name);
  return (
    <div className="output-field">
      <div className="field-head">
        <span className="grow label">{port.name}</span>
        {output === undefined ? (
          <button
            type="button"
            className="plain small"
            disabled={document.read_only !== null}
            aria-label={`Keep ${port.name} as an output of the pipeline`}
            onClick={() => addOutputFor({ node: node.name, port: port.name, side: "output" })}
          >
            <Icon name="add" /> Pipeline output
          </button>
        ) : (
          <OutputOf output={output} />
        )}
      </div>
      <p className="quiet small">
        <span className="holds">{port.directory_type ?? port.type}</span> {port.description}
      </p>
    </div>
  );
}

function OutputOf({ output }: { output: PipelineOutput }) {
  return (
    <button type="button" className="plain small" onClick={() => useStore.getState().select([])}>
      → {output.name}
    </button>
  );
}
