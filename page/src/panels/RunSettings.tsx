/** How a node is run, in Azure ML's words: compute, instances, processes, environment variables; and its comment. */

import { useState } from "react";

import type { Node } from "../api/types";
import { Icon } from "../shared/Icon";
import { useStore } from "../state/store";
import { TextField } from "./fields";
import { Section } from "./Section";

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function RunSettings({ node, isDisabled }: { node: Node; isDisabled: boolean }) {
  const { settings } = node;
  return (
    <Section title="Run settings">
      <Setting node={node} title="Compute" setting="compute" value={settings.compute} isDisabled={isDisabled}
        help="A compute target of the workspace. On this machine it has no effect." placeholder="that of the pipeline" />
      <Setting node={node} title="Instance count" setting="resources.instance_count" value={settings.instance_count}
        isDisabled={isDisabled} isCount help="How many machines share the work." placeholder="1" />
      <Setting node={node} title="Process count per instance" setting="distribution.process_count_per_instance"
        value={settings.process_count_per_instance} isDisabled={isDisabled} isCount
        help="Processes on each machine, usually one per GPU." placeholder="1" />
      <Variables node={node} isDisabled={isDisabled} />
      <TextField
        label="Comment"
        isLong
        value={node.comment}
        isDisabled={isDisabled}
        onWrite={(text) =>
          void useStore.getState().edit(`Comment on ${node.name}`, [{ op: "set_comment", node: node.name, text }])
        }
      />
    </Section>
  );
}

interface SettingProps {
  node: Node;
  title: string;
  setting: string;
  value: string | number | null;
  isDisabled: boolean;
  isCount?: boolean;
  help: string;
  placeholder: string;
}

function Setting({ node, title, setting, value, isDisabled, isCount = false, help, placeholder }: SettingProps) {
  return (
    <TextField
      label={title}
      value={value === null ? "" : String(value)}
      placeholder={placeholder}
      isDisabled={isDisabled}
      inputMode={isCount ? "numeric" : "text"}
      problemOf={(text) => (isCount ? countProblem(text) : null)}
      onWrite={(text) => writeSetting(node, title, setting, countOf(text, isCount))}
      help={<p className="quiet small">{help}</p>}
    />
  );
}

/** A count, or a binding of the pipeline that gives it. */
function countProblem(text: string): string | null {
  if (text.trim() === "" || /^\$\{\{.*\}\}$/.test(text.trim()) || /^[1-9]\d*$/.test(text.trim())) return null;
  return "A whole number of at least 1 is needed.";
}

function countOf(text: string, isCount: boolean): string | number | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  return isCount && /^\d+$/.test(trimmed) ? Number(trimmed) : trimmed;
}

function writeSetting(node: Node, title: string, key: string, value: string | number | null): void {
  void useStore.getState().edit(`${title} of ${node.name}`, [{ op: "set_setting", node: node.name, key, value }]);
}

function Variables({ node, isDisabled }: { node: Node; isDisabled: boolean }) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const variables = Object.entries(node.settings.environment_variables);
  const key = (variable: string): string => `environment_variables.${variable}`;
  const problem = name === "" || VARIABLE.test(name) ? null : "Letters, digits and underscores, with no digit in front.";
  return (
    <fieldset className="field">
      <legend>Environment variables</legend>
      {variables.map(([variable, content]) => (
        <div key={variable} className="row variable">
          <code className="cut" title={variable}>
            {variable}
          </code>
          <TextField
            label={variable}
            isLabelHidden
            className="grow"
            value={content}
            isDisabled={isDisabled}
            onWrite={(text) => writeSetting(node, variable, key(variable), text)}
          />
          <button
            type="button"
            className="icon"
            disabled={isDisabled}
            aria-label={`Remove ${variable}`}
            onClick={() => writeSetting(node, variable, key(variable), null)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (name === "" || value === "" || problem !== null) return;
          writeSetting(node, name, key(name), value);
          setName("");
          setValue("");
        }}
      >
        <input
          aria-label="New environment variable"
          aria-invalid={problem !== null}
          placeholder="NAME"
          className="mono"
          value={name}
          disabled={isDisabled}
          onChange={(event) => setName(event.target.value)}
        />
        <input
          aria-label="Value of the new environment variable"
          placeholder="value"
          value={value}
          disabled={isDisabled}
          onChange={(event) => setValue(event.target.value)}
        />
        <button type="submit" disabled={isDisabled || name === "" || value === "" || problem !== null}>
          Add
        </button>
      </form>
      {problem !== null && <p className="bad small">{problem}</p>}
    </fieldset>
  );
}
